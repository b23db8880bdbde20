//! Credentials: taken from requests and never shown again, except by the one operation that is there to show them.

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value as Json;
use std::marker::PhantomData;
use tiris_domain::value::{Invalid, Schema, SchemaKind, Value};

/// Stands in examples instead of a credential.
const EXAMPLE: &str = "EXAMPLE-0123456789-EXAMPLE";

/// What a kind of credential may consist of.
pub(crate) trait SecretRule: Send + Sync {
    /// Longest credential, in characters.
    const CHARS_MAX: usize;

    /// The characters it may have, in words.
    const ALLOWED: &'static str;

    /// Whether it may have a character.
    fn allows(letter: char) -> bool;
}

/// A credential in a request, by the rule `R`. No error shows what was given.
#[derive(Clone, Debug)]
pub(crate) struct Secret<R> {
    secret: SecretString,
    rule: PhantomData<R>,
}

impl<R> Secret<R> {
    /// The credential of examples.
    pub(crate) fn example() -> Self {
        Self {
            secret: EXAMPLE.into(),
            rule: PhantomData,
        }
    }

    pub(crate) fn into_inner(self) -> SecretString {
        self.secret
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
            return Err(Invalid::new(format!("must have {} only", R::ALLOWED)));
        }

        Ok(Self {
            secret,
            rule: PhantomData,
        })
    }

    /// Never the credential itself: only examples are made this way.
    fn to_json(&self) -> Json {
        EXAMPLE.into()
    }
}

impl<'de, R: SecretRule> Deserialize<'de> for Secret<R> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_json(Json::deserialize(deserializer)?).map_err(Invalid::into_serde)
    }
}

/// A credential in an answer, in clear.
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
