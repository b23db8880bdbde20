//! Free JSON of the caller: an object that comes back as it was given.

use super::define::Value;
use super::invalid::Invalid;
use super::newtype::deserialize_by_value;
use super::schema::{Schema, SchemaKind};
use serde_json::{Map, Value as Json};
use std::sync::LazyLock;

/// Longest free JSON object, in bytes without insignificant blanks.
pub const INFO_BYTES_MAX: usize = 16 * 1024;

/// A free JSON object of at most [`INFO_BYTES_MAX`] bytes.
///
/// The rules on its content ([`crate::json::check`]) hold for the raw bytes it is parsed from, because a parsed value
/// has forgotten its duplicate keys.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(transparent)]
pub struct Info(pub Map<String, Json>);

impl Value for Info {
    fn schema() -> Schema {
        Schema {
            example: Some(|| serde_json::json!({"strategy": "grid", "version": 3})),
            ..Schema::new("object_info", SchemaKind::Object)
        }
    }

    fn from_json(value: Json) -> Result<Self, Invalid> {
        if !value.is_object() {
            return Err(Invalid::free_json("must be an object"));
        }
        let length = value.to_string().len();
        if length > INFO_BYTES_MAX {
            return Err(Invalid::free_json(format!(
                "may have at most {INFO_BYTES_MAX} bytes (given: {length})"
            )));
        }

        Ok(Self::from_column(value))
    }

    fn to_json(&self) -> Json {
        Json::Object(self.0.clone())
    }
}

impl Info {
    /// The empty object.
    #[must_use]
    pub fn empty() -> &'static Self {
        static EMPTY: LazyLock<Info> = LazyLock::new(Info::default);
        &EMPTY
    }

    /// The object a column of free JSON holds; only objects are written to such columns.
    #[must_use]
    pub fn from_column(value: Json) -> Self {
        match value {
            Json::Object(object) => Self(object),
            _ => Self::default(),
        }
    }
}

deserialize_by_value!(Info);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::InvalidKind;
    use serde_json::json;

    /// `{"a":"xx…"}` of `length` bytes.
    fn object(length: usize) -> Json {
        json!({"a": "x".repeat(length - r#"{"a":""}"#.len())})
    }

    #[test]
    fn sixteen_kilobytes_are_accepted() {
        assert!(Info::from_json(object(INFO_BYTES_MAX)).is_ok());
    }

    #[test]
    fn one_byte_more_is_refused_as_free_json() {
        let invalid = Info::from_json(object(INFO_BYTES_MAX + 1)).expect_err("too long");

        assert_eq!(invalid.kind(), InvalidKind::FreeJson);
        assert_eq!(
            invalid.to_string(),
            "may have at most 16384 bytes (given: 16385)"
        );
    }

    #[test]
    fn what_is_no_object_is_refused_as_free_json() {
        for value in [json!([]), json!("text"), json!(null)] {
            let invalid = Info::from_json(value).expect_err("no object");

            assert_eq!(invalid.kind(), InvalidKind::FreeJson);
            assert_eq!(invalid.to_string(), "must be an object");
        }
    }

    #[test]
    fn the_order_of_keys_and_the_spelling_of_numbers_are_kept() {
        let text = r#"{"b":1.50,"a":1e+2}"#;

        let info: Info = serde_json::from_str(text).expect("valid");

        assert_eq!(serde_json::to_string(&info).expect("JSON"), text);
    }
}
