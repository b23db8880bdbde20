//! Exact numbers: amounts in requests and events, figures in answers.

use super::define::Value;
use super::invalid::Invalid;
use super::newtype::serde_by_value;
use super::schema::{Schema, SchemaKind};
use super::text::string;
use crate::money::{Number, NumberError};
use serde_json::Value as Json;
use std::fmt;

/// An amount from outside, as a JSON number or in a string; the ledger decides whether it fits the books.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount(pub Number);

impl Amount {
    /// Reads an amount to its last digit, never through a float.
    pub(crate) fn read(value: &Json) -> Result<Self, Invalid> {
        let text = match value {
            Json::Number(number) => number.as_str(),
            Json::String(text) => text,
            _ => {
                return Err(Invalid::given(
                    "must be a number, or a number in a string",
                    value,
                ));
            }
        };

        text.parse().map(Self).map_err(|error: NumberError| {
            Invalid::given(format!("must be a number within limits: {error}"), value)
        })
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Value for Amount {
    fn schema() -> Schema {
        Schema {
            pattern: Some(r"^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$"),
            max_length: Some(48),
            example: Some(|| "0.001".into()),
            ..Schema::new("amount", SchemaKind::StringOrNumber)
        }
    }

    fn from_json(value: Json) -> Result<Self, Invalid> {
        Self::read(&value)
    }

    fn to_json(&self) -> Json {
        Json::from(self.0.to_string())
    }
}

serde_by_value!(Amount);

/// A sum or a value in an answer: a string, exact, and without the limits of what can be booked.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Figure(pub Number);

impl Value for Figure {
    fn schema() -> Schema {
        Schema {
            format: Some("decimal"),
            pattern: Some(r"^-?\d+(\.\d+)?$"),
            example: Some(|| "12.5".into()),
            ..Schema::new("string_figure", SchemaKind::String)
        }
    }

    fn from_json(value: Json) -> Result<Self, Invalid> {
        Amount::read(&string(value)?.into()).map(|amount| Self(amount.0))
    }

    fn to_json(&self) -> Json {
        Json::from(self.0.to_string())
    }
}

serde_by_value!(Figure);

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
            let amount: Amount = serde_json::from_str(json).expect("valid");

            assert_eq!(amount.0.to_string(), exact);
        }
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for json in [
            "null", "true", "[]", "{}", "\"\"", "\" 1\"", "\"1,5\"", "\"NaN\"", "\"0x10\"",
        ] {
            assert!(serde_json::from_str::<Amount>(json).is_err(), "{json}");
        }
    }

    #[test]
    fn forty_digits_are_accepted_and_one_more_is_refused_with_the_limit() {
        let accepted = Amount::from_json("9".repeat(40).into());
        let refused = Amount::from_json("9".repeat(41).into()).expect_err("too many digits");

        assert!(accepted.is_ok());
        assert_eq!(
            refused.to_string(),
            format!(
                "must be a number within limits: more than 40 digits (given: \"{}\")",
                "9".repeat(41)
            )
        );
    }

    #[test]
    fn a_figure_is_written_as_a_string() {
        let figure = Figure("1e3".parse().expect("a number"));

        assert_eq!(serde_json::to_string(&figure).expect("JSON"), "\"1000\"");
    }
}
