//! Access tokens: EdDSA JWTs that name a user and a session.

use super::keys::Keys;
use chrono::{DateTime, Duration, Utc};
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Header, Validation, decode, decode_header, encode};
use serde::{Deserialize, Serialize};
use tiris_domain::ids::UserId;
use tiris_store::error::{Error, Result};
use uuid::Uuid;

const ISSUER: &str = "tiris";
const AUDIENCE: &str = "tiris-api";

/// The claims of a token.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Claims {
    iss: String,
    aud: String,
    pub(crate) sub: UserId,
    /// Id of the session.
    pub(crate) sid: Uuid,
    iat: i64,
    /// Seconds since 1970.
    pub(crate) exp: i64,
}

/// Issues a token for a session of `user`, valid from `now` for `lifetime`.
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

/// Returns the claims of a token, if one of the keys signed it and it has not expired.
pub(crate) fn verify(keys: &Keys, token: &str) -> Result<Claims> {
    let header = decode_header(token).map_err(|_| Error::InvalidToken("it is not a signed JWT"))?;
    if header.alg != Algorithm::EdDSA {
        return Err(Error::InvalidToken("it is not signed with EdDSA"));
    }
    let key = header.kid.as_deref().and_then(|id| keys.verifying(id));
    let key = key.ok_or(Error::InvalidToken("its signing key is unknown"))?;

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
