//! Access tokens: EdDSA JWTs that name a user and a session, and nothing else.
//!
//! Owns: claims, issuing and checking. Must not know: whether the session is still alive.

use super::keys::Keys;
use chrono::{DateTime, Duration, Utc};
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Header, Validation, decode, decode_header, encode};
use serde::{Deserialize, Serialize};
use tiris_domain::ids::UserId;
use tiris_store::error::{Error, Result};
use uuid::Uuid;

/// `iss` of our tokens.
const ISSUER: &str = "tiris";
/// `aud` of our tokens.
const AUDIENCE: &str = "tiris-api";

/// What a token says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Claims {
    iss: String,
    aud: String,
    /// The user.
    pub(crate) sub: UserId,
    /// The session.
    pub(crate) sid: Uuid,
    iat: i64,
    /// When it expires, in seconds since 1970.
    pub(crate) exp: i64,
}

/// A token for `user` in `session`, valid from `now` for `lifetime`.
pub fn issue(
    keys: &Keys,
    user: UserId,
    session: Uuid,
    now: DateTime<Utc>,
    lifetime: Duration,
) -> Result<String> {
    let (key, id) = keys.signing();
    let mut header = Header::new(Algorithm::EdDSA);
    header.kid = Some(id.to_owned());

    let claims = Claims {
        iss: ISSUER.to_owned(),
        aud: AUDIENCE.to_owned(),
        sub: user,
        sid: session,
        iat: now.timestamp(),
        exp: (now + lifetime).timestamp(),
    };

    encode(&header, &claims, key).map_err(|error| Error::Internal(error.into()))
}

/// The claims of a token that one of our keys signed and that has not expired.
pub(crate) fn verify(keys: &Keys, token: &str) -> Result<Claims> {
    let header = decode_header(token).map_err(|_| Error::InvalidToken("it is no signed JWT"))?;
    if header.alg != Algorithm::EdDSA {
        return Err(Error::InvalidToken("it is not signed with EdDSA"));
    }
    let key = header.kid.as_deref().and_then(|id| keys.verifying(id));
    let key = key.ok_or(Error::InvalidToken("no key of this service signed it"))?;

    let mut validation = Validation::new(Algorithm::EdDSA);
    validation.leeway = 0;
    validation.set_issuer(&[ISSUER]);
    validation.set_audience(&[AUDIENCE]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);

    match decode::<Claims>(token, key, &validation) {
        Ok(data) => Ok(data.claims),
        Err(error) => Err(Error::InvalidToken(match error.kind() {
            ErrorKind::ExpiredSignature => "it has expired",
            ErrorKind::InvalidSignature => "its signature is wrong",
            _ => "its claims are not those of an access token",
        })),
    }
}
