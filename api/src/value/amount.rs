//! An amount as callers send it: a JSON string or a JSON number, read exactly.

use super::described_type;
use poem_openapi::registry::{MetaSchema, MetaSchemaRef};
use serde_json::Value;
use tiris_domain::money::Number;

/// An amount in a request; the ledger decides whether it fits the books.
#[derive(Clone, Debug)]
pub(crate) struct Amount(pub(crate) Number);

impl Amount {
    /// Reads an amount from JSON, never through a float.
    pub(crate) fn from_value(value: &Value) -> Result<Self, String> {
        let text = match value {
            Value::Number(number) => number.to_string(),
            Value::String(text) => text.clone(),
            _ => return Err("must be a number, or a number in a string".to_owned()),
        };
        text.parse()
            .map(Self)
            .map_err(|error| format!("must be a number within limits: {error}"))
    }
}

described_type!(
    Amount,
    "amount",
    MetaSchema {
        example: Some("0.001".into()),
        one_of: vec![
            MetaSchemaRef::Inline(Box::new(MetaSchema {
                pattern: Some(r"^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$".to_owned()),
                max_length: Some(48),
                ..MetaSchema::new("string")
            })),
            MetaSchemaRef::Inline(Box::new(MetaSchema::new("number"))),
        ],
        ..MetaSchema::ANY
    },
    |value| Amount::from_value(&value),
    |amount| Value::String(amount.0.to_string())
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_strings_are_read_to_the_last_digit() {
        for (json, exact) in [
            ("0.1", "0.1"),
            ("\"0.1\"", "0.1"),
            ("1e-8", "0.00000001"),
            ("\"1e-8\"", "0.00000001"),
            (
                "123456789012345.123456789012",
                "123456789012345.123456789012",
            ),
            (
                "\"123456789012345.123456789012\"",
                "123456789012345.123456789012",
            ),
        ] {
            let value: Value = serde_json::from_str(json).expect("JSON");
            assert_eq!(Amount::from_value(&value).expect(json).0.to_string(), exact);
        }
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for json in [
            "null", "true", "[]", "{}", "\"\"", "\" 1\"", "\"1,5\"", "\"NaN\"", "\"0x10\"",
        ] {
            let value: Value = serde_json::from_str(json).expect("JSON");
            assert!(Amount::from_value(&value).is_err(), "{json}");
        }
    }
}
