//! Tokens in answers.

use crate::auth::session::AccessToken;
use crate::routes::users::object::User;
use poem_openapi::Object;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

/// What lets a program act for a user.
#[derive(Object, Serialize)]
pub(super) struct Tokens {
    /// For the header `Authorization: Bearer <access token>`
    access_token: String,
    /// For `POST /v1/auth/refresh`
    refresh_token: String,
    /// Always `Bearer`
    token_type: String,
    /// Seconds until the access token expires
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

/// Somebody has signed in.
#[derive(Object, Serialize)]
pub(super) struct SignedIn {
    #[oai(flatten)]
    #[serde(flatten)]
    tokens: Tokens,
    /// Who it is
    user: User,
}

impl SignedIn {
    pub(super) fn new(tokens: Tokens, user: User) -> Self {
        Self { tokens, user }
    }
}
