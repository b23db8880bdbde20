//! Tokens in responses.

use crate::auth::session::AccessToken;
use crate::routes::prelude::*;
use crate::routes::users::object::User;
use secrecy::{ExposeSecret, SecretString};

/// The tokens of a session.
#[derive(Object, Serialize)]
pub(super) struct Tokens {
    /// Access token for the header `Authorization: Bearer <token>`
    access_token: String,
    /// Refresh token for `POST /v1/auth/refresh`; store it securely
    refresh_token: String,
    /// Always `Bearer`
    token_type: String,
    /// Lifetime of the access token, in seconds
    expires_in: i64,
}

impl Tokens {
    pub(super) fn new(access: &AccessToken, refresh: &SecretString) -> Self {
        Self {
            access_token: access.token.expose_secret().to_owned(),
            refresh_token: refresh.expose_secret().to_owned(),
            token_type: "Bearer".to_owned(),
            expires_in: access.expires_in,
        }
    }
}

/// The tokens of a new session with its user.
#[derive(Object, Serialize)]
pub(super) struct SignedIn {
    #[oai(flatten)]
    #[serde(flatten)]
    pub(super) tokens: Tokens,
    /// The user
    pub(super) user: User,
}
