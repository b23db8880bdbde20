//! Tokens in requests and answers.

use crate::fields::{Fields, FromFields, required};
use crate::resource::User;
use poem_openapi::Object;
use poem_openapi::types::Example;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use tiris_store::error::Result;

/// Longest refresh token that is looked at, in characters.
const TOKEN_CHARS_MAX: usize = 512;

/// A refresh token.
#[derive(Object)]
#[oai(example)]
pub(super) struct Renewal {
    /// As signing in answered it
    #[oai(validator(min_length = 1, max_length = 512))]
    refresh_token: String,
}

impl Renewal {
    pub(super) fn token(self) -> SecretString {
        self.refresh_token.into()
    }
}

impl Example for Renewal {
    fn example() -> Self {
        Self {
            refresh_token: "J1k9xq3yR0m7oGm1b1qTn0m8cX2b7Q5u9wB4eZ6tYvA".to_owned(),
        }
    }
}

impl FromFields for Renewal {
    fn from_fields(fields: &mut Fields) -> Result<Self> {
        let refresh_token = required(
            "refresh_token",
            fields.text("refresh_token", 1, TOKEN_CHARS_MAX)?,
        )?;
        Ok(Self { refresh_token })
    }
}

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
    pub(super) fn new(access: &SecretString, refresh: &SecretString, expires_in: i64) -> Self {
        Self {
            access_token: access.expose_secret().to_owned(),
            refresh_token: refresh.expose_secret().to_owned(),
            token_type: "Bearer".to_owned(),
            expires_in,
        }
    }
}

/// Somebody has signed in.
#[derive(Object, Serialize)]
pub(super) struct SignedIn {
    /// For the header `Authorization: Bearer <access token>`
    access_token: String,
    /// For `POST /v1/auth/refresh`
    refresh_token: String,
    /// Always `Bearer`
    token_type: String,
    /// Seconds until the access token expires
    expires_in: i64,
    /// Who it is
    user: User,
}

impl SignedIn {
    pub(super) fn new(tokens: Tokens, user: User) -> Self {
        let Tokens {
            access_token,
            refresh_token,
            token_type,
            expires_in,
        } = tokens;
        Self {
            access_token,
            refresh_token,
            token_type,
            expires_in,
            user,
        }
    }
}
