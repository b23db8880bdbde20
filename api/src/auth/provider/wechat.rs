//! WeChat, whose protocol only resembles OAuth: GET with the secret in the address, errors with status 200.

use super::departure::Departure;
use super::http;
use crate::outgoing::{Answered, Outgoing};
use crate::settings::WechatSettings;
use reqwest::Url;
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tiris_domain::states::IdentityProvider;
use tiris_store::error::{Error, Result, SignInProblem};
use tiris_store::oauth::Identity;

const NAME: &str = "wechat";
/// For web pages, by scanning a code.
const SCOPE: &str = "snsapi_login";
/// `errcode` of codes that are wrong, used or missing.
const CODE_ERRORS: [i64; 4] = [40_029, 40_163, 41_008, 42_003];
/// `errcode` when WeChat is busy.
const BUSY: i64 = -1;

/// Whether something went wrong, in an answer of any status.
#[derive(Deserialize)]
struct Outcome {
    errcode: Option<i64>,
}

/// Answer to a code.
#[derive(Deserialize)]
struct Exchanged {
    access_token: String,
    openid: String,
    unionid: Option<String>,
}

/// Answer to the question who somebody is.
#[derive(Deserialize)]
struct Described {
    nickname: Option<String>,
    headimgurl: Option<String>,
    unionid: Option<String>,
}

/// The provider.
pub(super) struct Wechat {
    settings: WechatSettings,
    http: Outgoing,
}

impl Wechat {
    pub(super) fn new(settings: WechatSettings, http: Outgoing) -> Self {
        Self { settings, http }
    }

    /// Where the person goes. WeChat knows neither PKCE nor nonce: only the state ties the answer to the login.
    pub(super) fn depart(&self, state: &str, redirect_uri: &str) -> Departure {
        let parameters = [
            ("appid", self.settings.app_id.as_str()),
            ("redirect_uri", redirect_uri),
            ("response_type", "code"),
            ("scope", SCOPE),
            ("state", state),
        ];
        let mut url = with(&self.settings.auth_url, &parameters);
        url.set_fragment(Some("wechat_redirect"));
        Departure {
            url: url.into(),
            pkce_verifier: None,
            nonce: None,
        }
    }

    /// Who the code is for.
    pub(super) async fn identify(&self, code: &str) -> Result<Identity> {
        let parameters = [
            ("appid", self.settings.app_id.as_str()),
            ("secret", self.settings.app_secret.expose_secret()),
            ("code", code),
            ("grant_type", "authorization_code"),
        ];
        let url = with(&self.settings.token_url, &parameters);
        let exchanged: Exchanged = self.ask(url).await?;
        if exchanged.openid.is_empty() {
            let why = "wechat names nobody";
            return Err(Error::sign_in(SignInProblem::Provider, why));
        }

        let parameters = [
            ("access_token", exchanged.access_token.as_str()),
            ("openid", exchanged.openid.as_str()),
        ];
        let url = with(&self.settings.user_url, &parameters);
        let described: Described = self.ask(url).await?;

        let filled = |text: Option<String>| text.filter(|text| !text.is_empty());
        let unionid = filled(exchanged.unionid).or(filled(described.unionid));

        Ok(Identity {
            provider: IdentityProvider::Wechat,
            subject: unionid.clone().unwrap_or_else(|| exchanged.openid.clone()),
            openid: Some(exchanged.openid),
            unionid,
            email: None,
            email_verified: false,
            name: filled(described.nickname),
            avatar: filled(described.headimgurl),
        })
    }

    async fn ask<T: DeserializeOwned>(&self, url: Url) -> Result<T> {
        let Answered { status, body } = http::get(&self.http, NAME, &url).await?;
        let strange = |_| {
            let why = format!(
                "wechat answers something else than its protocol has, with status {status}"
            );
            Error::sign_in(SignInProblem::Provider, why)
        };

        let outcome: Outcome = serde_json::from_slice(&body).map_err(strange)?;
        match outcome.errcode.unwrap_or(0) {
            0 => serde_json::from_slice(&body).map_err(strange),
            BUSY => Err(Error::Unavailable {
                what: NAME,
                source: "it says that it is busy".into(),
            }),
            code if CODE_ERRORS.contains(&code) => {
                let why = format!("wechat refuses the code (errcode {code})");
                Err(Error::sign_in(SignInProblem::Code, why))
            }
            code => {
                let why = format!("wechat answers errcode {code}");
                Err(Error::sign_in(SignInProblem::Provider, why))
            }
        }
    }
}

fn with(url: &Url, parameters: &[(&str, &str)]) -> Url {
    let mut url = url.clone();
    url.query_pairs_mut().extend_pairs(parameters);
    url
}
