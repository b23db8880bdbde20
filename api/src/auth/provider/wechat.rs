//! WeChat, whose protocol resembles OAuth: GET with the secret in the URL, errors with status 200.

use super::http::ProviderHttp;
use super::{Departure, refused};
use crate::outgoing::CallResponse;
use crate::settings::WechatSettings;
use reqwest::Url;
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tiris_domain::states::IdentityProvider;
use tiris_store::error::{Error, Result, SignInProblem};
use tiris_store::oauth::Identity;

/// The scope of web pages, where users scan a code.
const SCOPE: &str = "snsapi_login";
/// `errcode` for a wrong, used or missing code.
const CODE_ERRORS: [i64; 4] = [40_029, 40_163, 41_008, 42_003];
/// `errcode` when WeChat is busy.
const BUSY: i64 = -1;

/// The error part of any response.
#[derive(Deserialize)]
struct Outcome {
    errcode: Option<i64>,
}

/// The response to a code.
#[derive(Deserialize)]
struct Exchanged {
    access_token: String,
    openid: String,
    unionid: Option<String>,
}

/// The profile of a user.
#[derive(Deserialize)]
struct Profile {
    nickname: Option<String>,
    headimgurl: Option<String>,
    unionid: Option<String>,
}

pub(super) struct Wechat {
    pub(super) settings: WechatSettings,
    pub(super) http: ProviderHttp,
}

impl Wechat {
    /// Starts a login. WeChat supports no PKCE and no nonce: only the state ties the response to the login.
    pub(super) fn depart(&self, state: &str, redirect_uri: &str) -> Departure {
        let parameters = [
            ("appid", self.settings.app_id.as_str()),
            ("redirect_uri", redirect_uri),
            ("response_type", "code"),
            ("scope", SCOPE),
            ("state", state),
        ];
        let mut url = with_query(&self.settings.auth_url, &parameters);
        url.set_fragment(Some("wechat_redirect"));
        Departure {
            url: url.into(),
            pkce_verifier: None,
            nonce: None,
        }
    }

    /// Exchanges a code for the identity of its user.
    pub(super) async fn identify(&self, code: &str) -> Result<Identity> {
        let parameters = [
            ("appid", self.settings.app_id.as_str()),
            ("secret", self.settings.app_secret.expose_secret()),
            ("code", code),
            ("grant_type", "authorization_code"),
        ];
        let url = with_query(&self.settings.token_url, &parameters);
        let exchanged: Exchanged = self.get(url).await?;
        if exchanged.openid.is_empty() {
            return Err(refused("wechat returns an empty openid"));
        }

        let parameters = [
            ("access_token", exchanged.access_token.as_str()),
            ("openid", exchanged.openid.as_str()),
        ];
        let url = with_query(&self.settings.user_url, &parameters);
        let profile: Profile = self.get(url).await?;

        let filled = |text: Option<String>| text.filter(|text| !text.is_empty());
        let unionid = filled(exchanged.unionid).or(filled(profile.unionid));

        Ok(Identity {
            provider: IdentityProvider::Wechat,
            subject: unionid.clone().unwrap_or_else(|| exchanged.openid.clone()),
            openid: Some(exchanged.openid),
            unionid,
            email: None,
            email_verified: false,
            name: filled(profile.nickname),
            avatar: filled(profile.headimgurl),
        })
    }

    async fn get<T: DeserializeOwned>(&self, url: Url) -> Result<T> {
        let CallResponse { status, body } = self.http.get(&url).await?;
        let malformed = |_| {
            refused(format!(
                "wechat returns a malformed response with status {status}"
            ))
        };

        let outcome: Outcome = serde_json::from_slice(&body).map_err(malformed)?;
        match outcome.errcode.unwrap_or(0) {
            0 => serde_json::from_slice(&body).map_err(malformed),
            BUSY => Err(self.http.unavailable("it reports that it is busy")),
            code if CODE_ERRORS.contains(&code) => {
                let why = format!("wechat refuses the code (errcode {code})");
                Err(Error::sign_in(SignInProblem::Code, why))
            }
            code => Err(refused(format!("wechat returns errcode {code}"))),
        }
    }
}

fn with_query(url: &Url, parameters: &[(&str, &str)]) -> Url {
    let mut url = url.clone();
    url.query_pairs_mut().extend_pairs(parameters);
    url
}
