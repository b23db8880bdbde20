//! Credentials: taken from requests and never shown again, except by the one operation that is there to show them.

use poem_openapi::registry::{MetaSchema, MetaSchemaRef};
use poem_openapi::types::{ParseError, ParseFromJSON, ParseResult, ToJSON, Type};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::Value;
use std::borrow::Cow;

/// Stands in examples instead of a credential.
const EXAMPLE: &str = "EXAMPLE-0123456789-EXAMPLE";

/// A credential in a request.
#[derive(Clone, Debug)]
pub(crate) struct SecretInput(pub(crate) SecretString);

impl SecretInput {
    /// The credential of examples.
    pub(crate) fn example() -> Self {
        Self(EXAMPLE.into())
    }
}

impl<'de> Deserialize<'de> for SecretInput {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // The error must not show what was given.
        match Value::deserialize(deserializer)? {
            Value::String(text) => Ok(Self(text.into())),
            _ => Err(de::Error::custom("must be a string")),
        }
    }
}

/// A credential in an answer, in clear.
#[derive(Debug)]
pub(crate) struct ClearSecret(pub(crate) SecretString);

impl Serialize for ClearSecret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.expose_secret())
    }
}

/// Makes a credential part of the document; `$shown` is its JSON in examples and answers.
macro_rules! documented {
    ($type:ident, $name:literal, $schema:expr, $shown:expr) => {
        impl Type for $type {
            const IS_REQUIRED: bool = true;

            type RawValueType = Self;
            type RawElementValueType = Self;

            fn name() -> Cow<'static, str> {
                $name.into()
            }

            fn schema_ref() -> MetaSchemaRef {
                MetaSchemaRef::Inline(Box::new($schema))
            }

            fn as_raw_value(&self) -> Option<&Self> {
                Some(self)
            }

            fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
                Box::new(std::iter::once(self))
            }
        }

        impl ParseFromJSON for $type {
            fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
                match value {
                    Some(Value::String(text)) => Ok(Self(text.into())),
                    _ => Err(ParseError::custom("must be a string")),
                }
            }
        }

        impl ToJSON for $type {
            fn to_json(&self) -> Option<Value> {
                let shown: fn(&Self) -> &str = $shown;
                Some(shown(self).into())
            }
        }
    };
}

documented!(
    SecretInput,
    "string_secret",
    MetaSchema {
        example: Some(EXAMPLE.into()),
        write_only: true,
        ..MetaSchema::new_with_format("string", "password")
    },
    // Never the credential itself: only examples are made this way.
    |_| EXAMPLE
);
documented!(
    ClearSecret,
    "string_clear_secret",
    MetaSchema {
        example: Some(EXAMPLE.into()),
        ..MetaSchema::new("string")
    },
    |secret| secret.0.expose_secret()
);
