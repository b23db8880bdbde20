//! The challenge that binds a login to the browser that started it.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Deserializer};
use serde_json::Value as Json;
use tiris_domain::value::{Invalid, Schema, SchemaKind, Value};

/// Bytes of a SHA-256.
const HASH_BYTES: usize = 32;
/// Characters of a SHA-256 as base64url.
const HASH_CHARS: usize = 43;

/// The base64url SHA-256 of a secret that the browser keeps.
pub(super) struct Challenge(String);

impl Challenge {
    /// Returns a challenge for examples, which is not checked.
    pub(super) fn from_static(text: &'static str) -> Self {
        Self(text.to_owned())
    }

    pub(super) fn into_string(self) -> String {
        self.0
    }
}

impl Value for Challenge {
    fn schema() -> Schema {
        Schema {
            min_length: Some(HASH_CHARS),
            max_length: Some(HASH_CHARS),
            ..Schema::new("string", SchemaKind::String)
        }
    }

    fn from_json(value: Json) -> Result<Self, Invalid> {
        let decoded = value
            .as_str()
            .and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());

        match value {
            Json::String(text) if decoded.is_some_and(|bytes| bytes.len() == HASH_BYTES) => {
                Ok(Self(text))
            }
            _ => Err(Invalid::new(
                "must be the base64url SHA-256, without padding, of what the callback sends as login_verifier",
            )),
        }
    }

    fn to_json(&self) -> Json {
        self.0.as_str().into()
    }
}

impl<'de> Deserialize<'de> for Challenge {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_json(Json::deserialize(deserializer)?).map_err(Invalid::into_serde)
    }
}
