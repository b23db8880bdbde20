//! What a client sends to begin a login and to end it.

use crate::auth::provider::Provider;
use crate::fields::{Fields, FromFields, required};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use poem_openapi::Object;
use poem_openapi::types::Example;
use serde::Serialize;
use tiris_store::error::{Error, Result, SignInProblem};

/// Longest address, code or verifier that is looked at, in characters.
const TEXT_CHARS_MAX: usize = 2_048;
/// Longest state, in characters; ours are shorter.
const STATE_CHARS_MAX: usize = 256;
/// Bytes of a SHA-256.
const CHALLENGE_BYTES: usize = 32;

/// A login to be begun.
#[derive(Object)]
#[oai(example, skip_serializing_if_is_none)]
pub(super) struct Login {
    /// Who vouches for the person
    pub(super) provider: Provider,
    /// Where the provider sends the person back to: exactly one of the configured addresses
    #[oai(validator(min_length = 1, max_length = 2048))]
    pub(super) redirect_uri: String,
    /// base64url SHA-256 of a secret that stays in the browser; the callback must then send the secret
    #[oai(validator(min_length = 43, max_length = 43))]
    pub(super) login_challenge: Option<String>,
}

impl Example for Login {
    fn example() -> Self {
        Self {
            provider: Provider::Google,
            redirect_uri: "https://tiris.ai/auth/callback".to_owned(),
            login_challenge: Some("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM".to_owned()),
        }
    }
}

impl FromFields for Login {
    fn from_fields(fields: &mut Fields) -> Result<Self> {
        Ok(Self {
            provider: provider(fields)?,
            redirect_uri: required(
                "redirect_uri",
                fields.text("redirect_uri", 1, TEXT_CHARS_MAX)?,
            )?,
            login_challenge: challenge(fields)?,
        })
    }
}

fn provider(fields: &mut Fields) -> Result<Provider> {
    let given = required("provider", fields.take("provider"))?;
    let known = Provider::NAMES
        .iter()
        .find(|(name, _)| given.as_str() == Some(name));
    known.map(|(_, provider)| *provider).ok_or_else(|| {
        Error::sign_in(
            SignInProblem::UnknownProvider,
            "provider must be google or wechat",
        )
    })
}

fn challenge(fields: &mut Fields) -> Result<Option<String>> {
    let challenge = fields.text("login_challenge", 1, TEXT_CHARS_MAX)?;
    let is_hash = |text: &String| {
        URL_SAFE_NO_PAD
            .decode(text)
            .is_ok_and(|bytes| bytes.len() == CHALLENGE_BYTES)
    };
    match &challenge {
        Some(text) if !is_hash(text) => Err(Error::invalid(
            "login_challenge",
            "must be the base64url SHA-256, without padding, of what the callback sends as login_verifier",
        )),
        _ => Ok(challenge),
    }
}

/// Where to go on.
#[derive(Object, Serialize)]
pub(super) struct Begun {
    /// Send the person there
    pub(super) auth_url: String,
    /// Comes back with the person; compare it before sending it to the callback
    pub(super) state: String,
}

/// A person who came back.
#[derive(Object)]
#[oai(example, skip_serializing_if_is_none)]
pub(super) struct Callback {
    /// As the login named it
    pub(super) provider: Provider,
    /// As the provider appended it to the address
    #[oai(validator(min_length = 1, max_length = 2048))]
    pub(super) code: String,
    /// As the provider appended it to the address
    #[oai(validator(min_length = 1, max_length = 256))]
    pub(super) state: String,
    /// As the login named it
    #[oai(validator(min_length = 1, max_length = 2048))]
    pub(super) redirect_uri: String,
    /// The secret whose hash the login sent as `login_challenge`
    #[oai(validator(max_length = 2048))]
    pub(super) login_verifier: Option<String>,
}

impl Example for Callback {
    fn example() -> Self {
        Self {
            provider: Provider::Google,
            code: "4/0AX4XfWh".to_owned(),
            state: "J1k9xq3yR0m7oGm1b1qTn0m8cX2b7Q5u9wB4eZ6tYvA".to_owned(),
            redirect_uri: "https://tiris.ai/auth/callback".to_owned(),
            login_verifier: Some("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk".to_owned()),
        }
    }
}

impl FromFields for Callback {
    fn from_fields(fields: &mut Fields) -> Result<Self> {
        Ok(Self {
            provider: provider(fields)?,
            code: required("code", fields.text("code", 1, TEXT_CHARS_MAX)?)?,
            state: required("state", fields.text("state", 1, STATE_CHARS_MAX)?)?,
            redirect_uri: required(
                "redirect_uri",
                fields.text("redirect_uri", 1, TEXT_CHARS_MAX)?,
            )?,
            login_verifier: fields.text("login_verifier", 1, TEXT_CHARS_MAX)?,
        })
    }
}
