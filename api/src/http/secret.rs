//! Credentials in requests, and in the responses of the one operation that reveals them.

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value as Json;
use std::marker::PhantomData;
use tiris_domain::value::{Invalid, Schema, SchemaKind, Value};

/// Replaces a credential in examples.
const EXAMPLE: &str = "EXAMPLE-0123456789-EXAMPLE";

/// The limits of a kind of credential.
pub(crate) trait SecretRule: Send + Sync {
    /// Longest credential, in characters.
    const CHARS_MAX: usize;

    /// Describes the allowed characters.
    const ALLOWED: &'static str;

    fn allows(character: char) -> bool;
}

/// A credential in a request, limited by the rule `R`. No error repeats the given value.
#[derive(Clone, Debug)]
pub(crate) struct Secret<R>(SecretString, PhantomData<R>);

impl<R> Secret<R> {
    pub(crate) fn example() -> Self {
        Self(EXAMPLE.into(), PhantomData)
    }

    pub(crate) fn into_inner(self) -> SecretString {
        self.0
    }
}

impl<R: SecretRule> Value for Secret<R> {
    fn schema() -> Schema {
        Schema {
            format: Some("password"),
            min_length: Some(1),
            max_length: Some(R::CHARS_MAX),
            example: Some(|| EXAMPLE.into()),
            write_only: true,
            ..Schema::new("string_secret", SchemaKind::String)
        }
    }

    fn from_json(value: Json) -> Result<Self, Invalid> {
        let Json::String(text) = value else {
            return Err(Invalid::new("must be a string"));
        };
        let secret = SecretString::from(text);

        let length = secret.expose_secret().chars().count();
        if !(1..=R::CHARS_MAX).contains(&length) {
            let max = R::CHARS_MAX;
            return Err(Invalid::new(format!(
                "must have 1 to {max} characters (given: {length})"
            )));
        }
        if !secret.expose_secret().chars().all(R::allows) {
            return Err(Invalid::new(format!("may have only {}", R::ALLOWED)));
        }

        Ok(Self(secret, PhantomData))
    }

    /// Only examples are serialized.
    fn to_json(&self) -> Json {
        EXAMPLE.into()
    }
}

impl<'de, R: SecretRule> Deserialize<'de> for Secret<R> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_json(Json::deserialize(deserializer)?).map_err(Invalid::into_serde)
    }
}

/// A credential in a response, in clear.
#[derive(Debug)]
pub(crate) struct ClearSecret(pub(crate) SecretString);

impl Value for ClearSecret {
    fn schema() -> Schema {
        Schema {
            example: Some(|| EXAMPLE.into()),
            ..Schema::new("string_clear_secret", SchemaKind::String)
        }
    }

    fn from_json(value: Json) -> Result<Self, Invalid> {
        match value {
            Json::String(text) => Ok(Self(text.into())),
            _ => Err(Invalid::new("must be a string")),
        }
    }

    fn to_json(&self) -> Json {
        self.0.expose_secret().into()
    }
}

impl Serialize for ClearSecret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.expose_secret())
    }
}
