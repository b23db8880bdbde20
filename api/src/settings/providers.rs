//! Settings of identity providers and of the pages that a login may come back to.

use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};
use tiris_domain::states::IdentityProvider;
use tiris_runtime::config::{Environment, Problems, entries, is_loopback};

/// The identity providers.
#[derive(clap::Args, Clone, Debug)]
pub struct ProviderArgs {
    /// URLs of web pages that a login may come back to, separated by commas; a login must name one of them exactly
    #[arg(long, env = "TIRIS_REDIRECT_URIS")]
    #[arg(default_value = "", value_name = "URLS")]
    redirect_uris: String,
    /// Offered identity providers, of google and wechat; staging and production do not start unless all of them are configured
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
    /// Issuer of Google's id tokens
    #[arg(long, env = "TIRIS_GOOGLE_ISSUER")]
    #[arg(default_value = "https://accounts.google.com", value_name = "URL")]
    google_issuer: String,
    /// Authorization endpoint of Google
    #[arg(long, env = "TIRIS_GOOGLE_AUTH_URL")]
    #[arg(
        default_value = "https://accounts.google.com/o/oauth2/v2/auth",
        value_name = "URL"
    )]
    google_auth_url: String,
    /// Token endpoint of Google
    #[arg(long, env = "TIRIS_GOOGLE_TOKEN_URL")]
    #[arg(
        default_value = "https://oauth2.googleapis.com/token",
        value_name = "URL"
    )]
    google_token_url: String,
    /// JSON Web Key Set of Google
    #[arg(long, env = "TIRIS_GOOGLE_JWKS_URL")]
    #[arg(
        default_value = "https://www.googleapis.com/oauth2/v3/certs",
        value_name = "URL"
    )]
    google_jwks_url: String,
    /// App id at WeChat
    #[arg(long, env = "TIRIS_WECHAT_APP_ID")]
    #[arg(default_value = "", hide_default_value = true, value_name = "ID")]
    wechat_app_id: String,
    /// App secret at WeChat
    #[arg(long, env = "TIRIS_WECHAT_APP_SECRET", hide_env_values = true)]
    #[arg(default_value = "", hide_default_value = true, value_name = "SECRET")]
    wechat_app_secret: SecretString,
    /// Authorization endpoint of WeChat
    #[arg(long, env = "TIRIS_WECHAT_AUTH_URL")]
    #[arg(
        default_value = "https://open.weixin.qq.com/connect/qrconnect",
        value_name = "URL"
    )]
    wechat_auth_url: String,
    /// Token endpoint of WeChat
    #[arg(long, env = "TIRIS_WECHAT_TOKEN_URL")]
    #[arg(
        default_value = "https://api.weixin.qq.com/sns/oauth2/access_token",
        value_name = "URL"
    )]
    wechat_token_url: String,
    /// Profile endpoint of WeChat
    #[arg(long, env = "TIRIS_WECHAT_USER_URL")]
    #[arg(
        default_value = "https://api.weixin.qq.com/sns/userinfo",
        value_name = "URL"
    )]
    wechat_user_url: String,
}

/// Checked [`ProviderArgs`].
#[derive(Clone, Debug, Default)]
pub struct ProviderSettings {
    /// URLs that a login may come back to.
    pub redirect_uris: Vec<String>,
    /// The offered providers.
    pub offered: Vec<IdentityProvider>,
    /// `None` when Google is not configured.
    pub google: Option<GoogleSettings>,
    /// `None` when WeChat is not configured.
    pub wechat: Option<WechatSettings>,
}

/// The client at Google, or at another OpenID Connect provider.
#[derive(Clone, Debug)]
pub struct GoogleSettings {
    /// Client id that Google issued.
    pub client_id: String,
    /// Client secret that Google issued.
    pub client_secret: SecretString,
    /// `iss` of the id tokens.
    pub issuer: String,
    /// Authorization endpoint.
    pub auth_url: Url,
    /// Token endpoint.
    pub token_url: Url,
    /// JSON Web Key Set.
    pub jwks_url: Url,
}

/// The app at WeChat.
#[derive(Clone, Debug)]
pub struct WechatSettings {
    /// App id that WeChat issued.
    pub app_id: String,
    /// App secret that WeChat issued.
    pub app_secret: SecretString,
    /// Authorization endpoint.
    pub auth_url: Url,
    /// Token endpoint.
    pub token_url: Url,
    /// Profile endpoint.
    pub user_url: Url,
}

impl ProviderArgs {
    /// Checks the settings and adds every mistake to `problems`.
    pub fn check(
        &self,
        environment: Option<Environment>,
        problems: &mut Problems,
    ) -> Option<ProviderSettings> {
        let strict = environment.is_some_and(Environment::is_strict);
        let redirect_uris: Vec<String> = entries(&self.redirect_uris).map(str::to_owned).collect();
        for uri in &redirect_uris {
            url("TIRIS_REDIRECT_URIS", uri, strict, problems);
        }

        let mut offered = Vec::new();
        for name in entries(&self.providers) {
            match name.parse::<IdentityProvider>() {
                Ok(provider) => offered.push(provider),
                Err(error) => problems.add("TIRIS_PROVIDERS", error),
            }
        }
        let required: &[IdentityProvider] = if strict { &offered } else { &[] };
        if offered.is_empty() && strict {
            let why = "must name a provider outside development, or no user can sign in";
            problems.add("TIRIS_PROVIDERS", why);
        }

        let google = self.google(required, strict, problems);
        let wechat = self.wechat(required, strict, problems);
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

    fn google(
        &self,
        required: &[IdentityProvider],
        strict: bool,
        problems: &mut Problems,
    ) -> Option<GoogleSettings> {
        let mut url = |name: &str, text: &str| url(name, text, strict, problems);
        let auth_url = url("TIRIS_GOOGLE_AUTH_URL", &self.google_auth_url);
        let token_url = url("TIRIS_GOOGLE_TOKEN_URL", &self.google_token_url);
        let jwks_url = url("TIRIS_GOOGLE_JWKS_URL", &self.google_jwks_url);

        let credentials = Credentials {
            id_variable: "TIRIS_GOOGLE_CLIENT_ID",
            id: &self.google_client_id,
            secret_variable: "TIRIS_GOOGLE_CLIENT_SECRET",
            secret: self.google_client_secret.clone(),
        };
        let (client_id, client_secret) =
            credentials.check(IdentityProvider::Google, required, problems)?;

        Some(GoogleSettings {
            client_id,
            client_secret,
            issuer: self.google_issuer.clone(),
            auth_url: auth_url?,
            token_url: token_url?,
            jwks_url: jwks_url?,
        })
    }

    fn wechat(
        &self,
        required: &[IdentityProvider],
        strict: bool,
        problems: &mut Problems,
    ) -> Option<WechatSettings> {
        let mut url = |name: &str, text: &str| url(name, text, strict, problems);
        let auth_url = url("TIRIS_WECHAT_AUTH_URL", &self.wechat_auth_url);
        let token_url = url("TIRIS_WECHAT_TOKEN_URL", &self.wechat_token_url);
        let user_url = url("TIRIS_WECHAT_USER_URL", &self.wechat_user_url);

        let credentials = Credentials {
            id_variable: "TIRIS_WECHAT_APP_ID",
            id: &self.wechat_app_id,
            secret_variable: "TIRIS_WECHAT_APP_SECRET",
            secret: self.wechat_app_secret.clone(),
        };
        let (app_id, app_secret) =
            credentials.check(IdentityProvider::Wechat, required, problems)?;

        Some(WechatSettings {
            app_id,
            app_secret,
            auth_url: auth_url?,
            token_url: token_url?,
            user_url: user_url?,
        })
    }
}

/// The id and the secret that a provider issued, with their variables.
struct Credentials<'a> {
    id_variable: &'static str,
    id: &'a str,
    secret_variable: &'static str,
    secret: SecretString,
}

impl Credentials<'_> {
    /// Returns id and secret when both are given.
    fn check(
        self,
        provider: IdentityProvider,
        required: &[IdentityProvider],
        problems: &mut Problems,
    ) -> Option<(String, SecretString)> {
        let has_secret = !self.secret.expose_secret().is_empty();

        match (self.id.is_empty(), has_secret) {
            (false, true) => return Some((self.id.to_owned(), self.secret)),
            (true, true) => {
                let why = format_args!("is required together with {}", self.secret_variable);
                problems.add(self.id_variable, why);
            }
            (false, false) => {
                let why = format_args!("is required together with {}", self.id_variable);
                problems.add(self.secret_variable, why);
            }
            (true, false) if required.contains(&provider) => {
                let why =
                    "is required with its secret outside development while TIRIS_PROVIDERS names";
                problems.add(self.id_variable, format_args!("{why} {provider}"));
            }
            (true, false) => {}
        }
        None
    }
}

/// Checks a URL that codes, secrets and keys are sent to: outside of development it must use TLS.
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
