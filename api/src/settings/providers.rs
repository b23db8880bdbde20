//! Settings of signing in: identity providers and where they may send people back to.
//!
//! Owns: names, defaults and checks. Must not know: how a login goes.

use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};
use tiris_runtime::config::{Environment, Problems, entries, is_loopback};

const GOOGLE_ISSUER: &str = "https://accounts.google.com";
const GOOGLE_AUTH_URL: &str = "https://accounts.google.com/o/oauth2/v2/auth";
const GOOGLE_TOKEN_URL: &str = "https://oauth2.googleapis.com/token";
const GOOGLE_JWKS_URL: &str = "https://www.googleapis.com/oauth2/v3/certs";
const WECHAT_AUTH_URL: &str = "https://open.weixin.qq.com/connect/qrconnect";
const WECHAT_TOKEN_URL: &str = "https://api.weixin.qq.com/sns/oauth2/access_token";
const WECHAT_USER_URL: &str = "https://api.weixin.qq.com/sns/userinfo";

/// How people sign in.
#[derive(clap::Args, Clone, Debug)]
pub struct ProviderArgs {
    /// Addresses of web pages a login may come back to, separated by commas; a login names one of them exactly
    #[arg(long, env = "TIRIS_REDIRECT_URIS")]
    #[arg(default_value = "", value_name = "URLS")]
    redirect_uris: String,
    /// Providers people are offered, of google and wechat; in production all of them must be configured, or it does not
    /// start
    #[arg(long, env = "TIRIS_PROVIDERS")]
    #[arg(default_value = "google,wechat", value_name = "NAMES")]
    providers: String,
    /// Client id at Google
    #[arg(long, env = "TIRIS_GOOGLE_CLIENT_ID")]
    #[arg(default_value = "", hide_default_value = true, value_name = "ID")]
    google_client_id: String,
    /// Client secret at Google
    #[arg(long, env = "TIRIS_GOOGLE_CLIENT_SECRET", hide_env_values = true)]
    #[arg(default_value = "", hide_default_value = true, value_name = "SECRET")]
    google_client_secret: SecretString,
    /// Who Google's id tokens say issued them
    #[arg(long, env = "TIRIS_GOOGLE_ISSUER", default_value = GOOGLE_ISSUER, value_name = "URL")]
    google_issuer: String,
    /// Where people sign in at Google
    #[arg(long, env = "TIRIS_GOOGLE_AUTH_URL", default_value = GOOGLE_AUTH_URL, value_name = "URL")]
    google_auth_url: String,
    /// Where Google exchanges codes
    #[arg(long, env = "TIRIS_GOOGLE_TOKEN_URL", default_value = GOOGLE_TOKEN_URL, value_name = "URL")]
    google_token_url: String,
    /// Where Google publishes its keys
    #[arg(long, env = "TIRIS_GOOGLE_JWKS_URL", default_value = GOOGLE_JWKS_URL, value_name = "URL")]
    google_jwks_url: String,
    /// App id at WeChat
    #[arg(long, env = "TIRIS_WECHAT_APP_ID")]
    #[arg(default_value = "", hide_default_value = true, value_name = "ID")]
    wechat_app_id: String,
    /// App secret at WeChat
    #[arg(long, env = "TIRIS_WECHAT_APP_SECRET", hide_env_values = true)]
    #[arg(default_value = "", hide_default_value = true, value_name = "SECRET")]
    wechat_app_secret: SecretString,
    /// Where people sign in at WeChat
    #[arg(long, env = "TIRIS_WECHAT_AUTH_URL", default_value = WECHAT_AUTH_URL, value_name = "URL")]
    wechat_auth_url: String,
    /// Where WeChat exchanges codes
    #[arg(long, env = "TIRIS_WECHAT_TOKEN_URL", default_value = WECHAT_TOKEN_URL, value_name = "URL")]
    wechat_token_url: String,
    /// Where WeChat tells names and pictures
    #[arg(long, env = "TIRIS_WECHAT_USER_URL", default_value = WECHAT_USER_URL, value_name = "URL")]
    wechat_user_url: String,
}

/// Checked [`ProviderArgs`].
#[derive(Clone, Debug, Default)]
pub struct ProviderSettings {
    /// Where a login may come back to.
    pub redirect_uris: Vec<String>,
    /// Names of the providers that are offered.
    pub offered: Vec<String>,
    /// Google, when it is configured.
    pub google: Option<GoogleSettings>,
    /// WeChat, when it is configured.
    pub wechat: Option<WechatSettings>,
}

/// How to reach Google, or another provider that speaks OpenID Connect.
#[derive(Clone, Debug)]
pub struct GoogleSettings {
    /// Client id.
    pub client_id: String,
    /// Client secret.
    pub client_secret: SecretString,
    /// `iss` of its id tokens.
    pub issuer: String,
    /// Where people sign in.
    pub auth_url: Url,
    /// Where codes are exchanged.
    pub token_url: Url,
    /// Where its keys are.
    pub jwks_url: Url,
}

/// How to reach WeChat.
#[derive(Clone, Debug)]
pub struct WechatSettings {
    /// App id.
    pub app_id: String,
    /// App secret.
    pub app_secret: SecretString,
    /// Where people sign in.
    pub auth_url: Url,
    /// Where codes are exchanged.
    pub token_url: Url,
    /// Where names and pictures are told.
    pub user_url: Url,
}

impl ProviderArgs {
    /// Checks the settings, noting every mistake.
    pub fn check(
        &self,
        environment: Option<Environment>,
        problems: &mut Problems,
    ) -> Option<ProviderSettings> {
        let strict = environment != Some(Environment::Dev);
        let redirect_uris: Vec<String> = entries(&self.redirect_uris).map(str::to_owned).collect();
        for uri in &redirect_uris {
            url("TIRIS_REDIRECT_URIS", uri, strict, problems);
        }

        let offered: Vec<String> = entries(&self.providers).map(str::to_owned).collect();
        if !offered
            .iter()
            .all(|name| name == "google" || name == "wechat")
        {
            problems.add("TIRIS_PROVIDERS", "may name google and wechat");
        }

        let google = self.google(strict, problems);
        let wechat = self.wechat(strict, problems);
        if environment == Some(Environment::Production) {
            self.check_offered(&offered, problems);
        }
        if redirect_uris.is_empty() && (google.is_some() || wechat.is_some()) {
            let why = "is required when a provider is configured";
            problems.add("TIRIS_REDIRECT_URIS", why);
        }

        Some(ProviderSettings {
            redirect_uris,
            offered,
            google,
            wechat,
        })
    }

    /// In production every provider people are offered must be there.
    fn check_offered(&self, offered: &[String], problems: &mut Problems) {
        if offered.is_empty() {
            let why = "must name a provider in production, or nobody can sign in";
            problems.add("TIRIS_PROVIDERS", why);
        }

        let google = (&self.google_client_id, &self.google_client_secret);
        let wechat = (&self.wechat_app_id, &self.wechat_app_secret);
        for (names, (id, secret)) in [(GOOGLE, google), (WECHAT, wechat)] {
            let provider = names.provider;
            let is_missing = id.is_empty() && secret.expose_secret().is_empty();
            if is_missing && offered.iter().any(|name| name == provider) {
                let why = "is required with its secret in production while TIRIS_PROVIDERS names";
                problems.add(names.id, format_args!("{why} {provider}"));
            }
        }
    }

    fn google(&self, strict: bool, problems: &mut Problems) -> Option<GoogleSettings> {
        let mut url = |name: &str, text: &str| url(name, text, strict, problems);
        let auth_url = url("TIRIS_GOOGLE_AUTH_URL", &self.google_auth_url);
        let token_url = url("TIRIS_GOOGLE_TOKEN_URL", &self.google_token_url);
        let jwks_url = url("TIRIS_GOOGLE_JWKS_URL", &self.google_jwks_url);

        let id = &self.google_client_id;
        let secret = self.google_client_secret.clone();
        GOOGLE.is_configured(id, &secret, problems).then_some(())?;

        Some(GoogleSettings {
            client_id: id.clone(),
            client_secret: secret,
            issuer: self.google_issuer.clone(),
            auth_url: auth_url?,
            token_url: token_url?,
            jwks_url: jwks_url?,
        })
    }

    fn wechat(&self, strict: bool, problems: &mut Problems) -> Option<WechatSettings> {
        let mut url = |name: &str, text: &str| url(name, text, strict, problems);
        let auth_url = url("TIRIS_WECHAT_AUTH_URL", &self.wechat_auth_url);
        let token_url = url("TIRIS_WECHAT_TOKEN_URL", &self.wechat_token_url);
        let user_url = url("TIRIS_WECHAT_USER_URL", &self.wechat_user_url);

        let id = &self.wechat_app_id;
        let secret = self.wechat_app_secret.clone();
        WECHAT.is_configured(id, &secret, problems).then_some(())?;

        Some(WechatSettings {
            app_id: id.clone(),
            app_secret: secret,
            auth_url: auth_url?,
            token_url: token_url?,
            user_url: user_url?,
        })
    }
}

/// The variables of what a provider gave us: an id and its secret.
struct Credentials {
    provider: &'static str,
    id: &'static str,
    secret: &'static str,
}

const GOOGLE: Credentials = Credentials {
    provider: "google",
    id: "TIRIS_GOOGLE_CLIENT_ID",
    secret: "TIRIS_GOOGLE_CLIENT_SECRET",
};
const WECHAT: Credentials = Credentials {
    provider: "wechat",
    id: "TIRIS_WECHAT_APP_ID",
    secret: "TIRIS_WECHAT_APP_SECRET",
};

impl Credentials {
    /// Both come together or not at all.
    fn is_configured(&self, id: &str, secret: &SecretString, problems: &mut Problems) -> bool {
        let has_id = !id.is_empty();
        let has_secret = !secret.expose_secret().is_empty();
        if has_id != has_secret {
            let (missing, given) = if has_secret {
                (self.id, self.secret)
            } else {
                (self.secret, self.id)
            };
            problems.add(missing, format_args!("is required together with {given}"));
        }

        has_id && has_secret
    }
}

/// Codes, secrets and keys pass here: outside development only over TLS.
fn url(name: &str, text: &str, strict: bool, problems: &mut Problems) -> Option<Url> {
    let is_safe = |url: &Url| match strict {
        true => url.scheme() == "https" && !url.host_str().is_none_or(is_loopback),
        false => url.scheme().starts_with("http"),
    };

    let url = Url::parse(text).ok();
    let url = url.filter(|url| is_safe(url) && url.fragment().is_none());
    if url.is_none() {
        let why = "must be an https URL of another machine without a fragment, with TIRIS_ENV=dev any http URL";
        problems.add(name, format_args!("{why} (given: {text:?})"));
    }
    url
}
