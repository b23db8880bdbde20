//! What an id token says, once it is known to be the provider's, for us, and of this login.
//!
//! Owns: the checks of OpenID Connect. Must not know: where keys come from.

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde::Deserialize;
use serde_json::Value;
use tiris_store::error::{Error, Result, SignInProblem};

/// Seconds two clocks may differ by.
const LEEWAY_SECONDS: u64 = 30;

/// What the token must say.
pub(super) struct Expected<'a> {
    pub(super) issuer: &'a str,
    pub(super) audience: &'a str,
    pub(super) nonce: &'a str,
}

/// What it says of the person.
#[derive(Deserialize)]
pub(super) struct Claims {
    pub(super) sub: String,
    nonce: Option<String>,
    azp: Option<String>,
    pub(super) email: Option<String>,
    #[serde(default)]
    email_verified: Value,
    pub(super) name: Option<String>,
    pub(super) picture: Option<String>,
}

impl Claims {
    /// Some providers write it as a string.
    pub(super) fn is_email_verified(&self) -> bool {
        self.email_verified == Value::Bool(true) || self.email_verified == "true"
    }
}

/// The id of the key, if the token names one; only RS256 is taken, whatever the token proposes.
pub(super) fn key_id(token: &str) -> Result<Option<String>> {
    let header = decode_header(token).map_err(|_| refused("is no signed JWT"))?;
    if header.alg != Algorithm::RS256 {
        return Err(refused("is not signed with RS256"));
    }
    Ok(header.kid)
}

/// The claims of a token that passes every check.
pub(super) fn check(token: &str, key: &DecodingKey, expected: &Expected<'_>) -> Result<Claims> {
    let mut validation = Validation::new(Algorithm::RS256);
    validation.leeway = LEEWAY_SECONDS;
    // Google writes its issuer with and without the scheme.
    let bare = expected
        .issuer
        .strip_prefix("https://")
        .unwrap_or(expected.issuer);
    validation.set_issuer(&[expected.issuer, bare]);
    validation.set_audience(&[expected.audience]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);

    let claims = decode::<Claims>(token, key, &validation).map_err(|error| {
        refused(match error.kind() {
            ErrorKind::InvalidSignature => "is signed by somebody else",
            ErrorKind::ExpiredSignature => "has expired",
            ErrorKind::InvalidIssuer => "comes from another issuer",
            ErrorKind::InvalidAudience => "is for another client",
            _ => "lacks a claim",
        })
    })?;

    let claims = claims.claims;
    if claims.nonce.as_deref() != Some(expected.nonce) {
        return Err(refused("belongs to another login"));
    }
    let party = claims.azp.as_deref();
    if party.is_some_and(|azp| azp != expected.audience) {
        return Err(refused("was made for another client"));
    }

    Ok(claims)
}

fn refused(why: &str) -> Error {
    Error::sign_in(SignInProblem::Provider, format!("the id_token {why}"))
}
