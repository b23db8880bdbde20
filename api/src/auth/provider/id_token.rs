//! The checks of an id token by OpenID Connect: that the provider issued it to this client for this login.

use super::refused;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde::Deserialize;
use serde_json::Value;
use tiris_store::error::Result;

/// Tolerated difference between two clocks.
const LEEWAY_SECONDS: u64 = 30;

/// The required claims.
pub(super) struct Expected<'a> {
    pub(super) issuer: &'a str,
    pub(super) audience: &'a str,
    pub(super) nonce: &'a str,
}

/// The claims about the user.
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
    /// Returns whether the provider has verified the address; some providers send a string.
    pub(super) fn is_email_verified(&self) -> bool {
        self.email_verified == Value::Bool(true) || self.email_verified == "true"
    }
}

/// Returns the key id of the token, if any. Any algorithm but RS256 is rejected.
pub(super) fn key_id(token: &str) -> Result<Option<String>> {
    let header = decode_header(token).map_err(|_| refused("the id_token is not a signed JWT"))?;
    if header.alg != Algorithm::RS256 {
        return Err(refused("the id_token is not signed with RS256"));
    }
    Ok(header.kid)
}

/// Returns the claims of a token that passes every check.
pub(super) fn check(token: &str, key: &DecodingKey, expected: &Expected<'_>) -> Result<Claims> {
    let mut validation = Validation::new(Algorithm::RS256);
    validation.leeway = LEEWAY_SECONDS;
    // Google names its issuer with and without the scheme.
    let issuer = expected.issuer;
    let bare = issuer.strip_prefix("https://").unwrap_or(issuer);
    validation.set_issuer(&[issuer, bare]);
    validation.set_audience(&[expected.audience]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);

    let claims = decode::<Claims>(token, key, &validation).map_err(|error| {
        refused(match error.kind() {
            ErrorKind::InvalidSignature => "the id_token has a wrong signature",
            ErrorKind::ExpiredSignature => "the id_token has expired",
            ErrorKind::InvalidIssuer => "the id_token has another issuer",
            ErrorKind::InvalidAudience => "the id_token is for another client",
            _ => "the id_token lacks a claim",
        })
    })?;

    let claims = claims.claims;
    if claims.nonce.as_deref() != Some(expected.nonce) {
        return Err(refused("the id_token belongs to another login"));
    }
    let party = claims.azp.as_deref();
    if party.is_some_and(|azp| azp != expected.audience) {
        return Err(refused("the id_token was issued to another client"));
    }

    Ok(claims)
}
