//! Free JSON of the caller: an object that is stored and returned as given.

use super::invalid::Invalid;
use super::newtype::deserialize_by_value;
use super::schema::{Schema, SchemaKind, Value};
use serde_json::{Map, Value as Json};
use std::sync::LazyLock;

/// Longest free JSON object, in bytes without insignificant whitespace.
pub const INFO_BYTES_MAX: usize = 16 * 1024;

/// A free JSON object of at most [`INFO_BYTES_MAX`] bytes.
///
/// [`crate::json::check`] checks its content on the raw bytes, because a parsed value has lost its duplicate keys.
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
    /// Returns the empty object.
    #[must_use]
    pub fn empty() -> &'static Self {
        static EMPTY: LazyLock<Info> = LazyLock::new(Info::default);
        &EMPTY
    }

    /// Returns the object in a column of free JSON; only objects are written to such columns.
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
    use serde_json::json;

    /// Returns `{"a":"xx…"}` of `length` bytes.
    fn object(length: usize) -> Json {
        json!({"a": "x".repeat(length - r#"{"a":""}"#.len())})
    }

    #[test]
    fn accepts_sixteen_kibibytes() {
        assert!(Info::from_json(object(INFO_BYTES_MAX)).is_ok());
    }

    #[test]
    fn rejects_one_byte_more_as_free_json() {
        let invalid = Info::from_json(object(INFO_BYTES_MAX + 1)).expect_err("too long");

        assert!(invalid.is_free_json);
        assert_eq!(
            invalid.to_string(),
            "may have at most 16384 bytes (given: 16385)"
        );
    }

    #[test]
    fn rejects_a_value_that_is_not_an_object_as_free_json() {
        for value in [json!([]), json!("text"), json!(null)] {
            let invalid = Info::from_json(value).expect_err("no object");

            assert!(invalid.is_free_json);
            assert_eq!(invalid.to_string(), "must be an object");
        }
    }

    #[test]
    fn preserves_the_order_of_keys_and_the_spelling_of_numbers() {
        let text = r#"{"b":1.50,"a":1e+2}"#;

        let info: Info = serde_json::from_str(text).expect("valid");

        assert_eq!(serde_json::to_string(&info).expect("JSON"), text);
    }
}
