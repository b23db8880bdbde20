//! Free JSON of the caller: an object that comes back as it was given.

use super::described_type;
use poem_openapi::registry::{MetaSchema, MetaSchemaRef};
use serde::Serialize;
use serde_json::{Map, Value};
use tiris_domain::json;
use tiris_store::error::{Error, Result};

/// Longest free JSON object, in bytes without insignificant blanks.
const INFO_BYTES_MAX: usize = 16 * 1024;

/// A free JSON object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(crate) struct Info(pub(crate) Map<String, Value>);

impl Info {
    /// What a column of free JSON holds.
    pub(crate) fn from_column(value: Value) -> Self {
        match value {
            Value::Object(object) => Self(object),
            // Every such column is written by us, as an object.
            _ => Self::default(),
        }
    }

    /// Checks that a value is an object of bearable size; the rules on its content were checked with the whole body.
    pub(crate) fn from_value(value: Value) -> Result<Self> {
        Self::named("info", value)
    }

    /// Like [`Self::from_value`], for a field of another name.
    pub(crate) fn named(name: &str, value: Value) -> Result<Self> {
        let Value::Object(object) = value else {
            return Err(Error::InvalidInfo(format!("{name} must be an object")));
        };
        let length = serde_json::to_vec(&object)
            .map_err(|error| Error::Internal(error.into()))?
            .len();
        if length > INFO_BYTES_MAX {
            return Err(Error::InvalidInfo(format!(
                "{name} may have at most {INFO_BYTES_MAX} bytes (given: {length})"
            )));
        }
        Ok(Self(object))
    }

    /// Reads the query parameter `info`, which rows must contain.
    pub(crate) fn from_query(text: &str) -> Result<Self> {
        json::check(text.as_bytes())
            .map_err(|error| Error::InvalidInfo(format!("the parameter info: {error}")))?;
        let value = serde_json::from_str(text).map_err(|error| {
            Error::invalid(
                "info",
                format!("must be a JSON object, URL-encoded: {error}"),
            )
        })?;
        Self::from_value(value)
    }
}

described_type!(
    Info,
    "object_info",
    MetaSchema {
        example: Some(serde_json::json!({"strategy": "grid", "version": 3})),
        additional_properties: Some(Box::new(MetaSchemaRef::Inline(Box::new(MetaSchema::ANY)))),
        ..MetaSchema::new("object")
    },
    |value| Info::from_value(value).map_err(|error| error.to_string()),
    |info| Value::Object(info.0.clone())
);
