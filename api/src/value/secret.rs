//! Credentials: taken from requests and never shown again, save by the one operation that is there to show them.

use super::described_type;
use poem_openapi::registry::MetaSchema;
use secrecy::{ExposeSecret, SecretString};
use serde::{Serialize, Serializer};
use serde_json::Value;

/// What stands in examples instead of a credential.
const EXAMPLE: &str = "EXAMPLE-0123456789-EXAMPLE";

/// A credential in a request.
#[derive(Clone, Debug)]
pub(crate) struct SecretInput(pub(crate) SecretString);

impl SecretInput {
    /// What the document shows.
    pub(crate) fn example() -> Self {
        Self(EXAMPLE.into())
    }
}

described_type!(
    SecretInput,
    "string_secret",
    MetaSchema {
        example: Some(EXAMPLE.into()),
        write_only: true,
        ..MetaSchema::new_with_format("string", "password")
    },
    |value| match value {
        Value::String(text) => Ok(SecretInput(text.into())),
        _ => Err("must be a string".to_owned()),
    },
    // Never what it holds: only examples are made this way.
    |_| Value::String(EXAMPLE.to_owned())
);

/// A credential in an answer, in clear.
#[derive(Debug)]
pub(crate) struct ClearSecret(pub(crate) SecretString);

impl Serialize for ClearSecret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.expose_secret())
    }
}

described_type!(
    ClearSecret,
    "string_clear_secret",
    MetaSchema {
        example: Some(EXAMPLE.into()),
        ..MetaSchema::new("string")
    },
    |value| match value {
        Value::String(text) => Ok(ClearSecret(text.into())),
        _ => Err("must be a string".to_owned()),
    },
    |secret| Value::String(secret.0.expose_secret().to_owned())
);
