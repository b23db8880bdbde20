//! Exact numbers: amounts in requests and events, money, figures and seconds in responses.

use super::invalid::Invalid;
use super::newtype::{deserialize_by_value, serde_as_string, string_value};
use super::schema::{Schema, SchemaKind, Value};
use crate::money::{Money, NUMBER_DIGITS_MAX, Number, NumberError, Price};
use serde_json::Value as Json;
use std::fmt;

/// Length of signs, decimal point and a two-digit exponent around the digits of a number.
const SIGNS_LENGTH_MAX: usize = "-.e-64".len();

/// An amount in a request or event, as a JSON number or in a string; the ledger checks that it fits the books.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount(pub Number);

impl Amount {
    /// Parses an amount to its last digit, never through a float.
    pub(crate) fn parse(value: &Json) -> Result<Self, Invalid> {
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
            max_length: Some(NUMBER_DIGITS_MAX + SIGNS_LENGTH_MAX),
            example: Some(|| "0.001".into()),
            ..Schema::new("amount", SchemaKind::StringOrNumber)
        }
    }

    fn from_json(value: Json) -> Result<Self, Invalid> {
        Self::parse(&value)
    }

    fn to_json(&self) -> Json {
        Json::from(self.0.to_string())
    }
}

serde_as_string!(Amount);

/// A sum or a value in a response: an exact decimal in a string, without the limits of the books.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Figure(pub Number);

impl TryFrom<String> for Figure {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        Amount::parse(&text.into()).map(|amount| Self(amount.0))
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

string_value!(
    Figure,
    Schema {
        format: Some("decimal"),
        pattern: Some(r"^-?\d+(\.\d+)?$"),
        example: Some(|| "12.5".into()),
        ..Schema::new("string_figure", SchemaKind::String)
    }
);

impl TryFrom<String> for Money {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        text.parse().map_err(|why: String| Invalid::new(why))
    }
}

string_value!(
    Money,
    Schema {
        format: Some("decimal"),
        pattern: Some(r"^-?\d{1,20}(\.\d{1,18})?$"),
        example: Some(|| "0.001".into()),
        ..Schema::new("string_money", SchemaKind::String)
    }
);

impl TryFrom<String> for Price {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        Amount::parse(&text.into()).map(|amount| amount.0.into())
    }
}

string_value!(
    Price,
    Schema {
        format: Some("decimal"),
        pattern: Some(r"^-?\d+(\.\d+)?$"),
        example: Some(|| "43000.25".into()),
        ..Schema::new("string_price", SchemaKind::String)
    }
);

/// A duration in seconds, measured and so never exact: a JSON number.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Seconds(pub f64);

impl Value for Seconds {
    fn schema() -> Schema {
        Schema {
            example: Some(|| serde_json::json!(1.25)),
            ..Schema::new("number_seconds", SchemaKind::Number)
        }
    }

    fn from_json(value: Json) -> Result<Self, Invalid> {
        let seconds = match &value {
            Json::Number(number) => number.as_str().parse().ok(),
            _ => None,
        };

        seconds
            .map(Self)
            .ok_or_else(|| Invalid::given("must be a number of seconds", &value))
    }

    fn to_json(&self) -> Json {
        serde_json::Number::from_f64(self.0).map_or(Json::Null, Json::Number)
    }
}

impl serde::Serialize for Seconds {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_json().serialize(serializer)
    }
}

deserialize_by_value!(Seconds);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_numbers_and_strings_to_the_last_digit() {
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
    fn rejects_an_amount_that_is_not_a_number() {
        for json in [
            "null", "true", "[]", "{}", "\"\"", "\" 1\"", "\"1,5\"", "\"NaN\"", "\"0x10\"",
        ] {
            assert!(serde_json::from_str::<Amount>(json).is_err(), "{json}");
        }
    }

    #[test]
    fn rejects_an_amount_of_1001_digits_with_the_limit() {
        let accepted = Amount::from_json("9".repeat(1_000).into());
        let refused = Amount::from_json("9".repeat(1_001).into()).expect_err("too many digits");

        assert!(accepted.is_ok());
        assert_eq!(
            refused.to_string(),
            format!(
                "must be a number within limits: more than 1000 digits (given: \"{})",
                "9".repeat(59)
            )
        );
    }

    #[test]
    fn serializes_a_figure_as_a_string() {
        let figure = Figure("1e3".parse().expect("a number"));

        assert_eq!(serde_json::to_string(&figure).expect("JSON"), "\"1000\"");
    }

    #[test]
    fn the_largest_and_the_smallest_money_keep_every_digit() {
        for text in [
            "99999999999999999999.999999999999999999",
            "-0.000000000000000001",
        ] {
            let money = Money::from_json(text.into()).expect("in range");

            assert_eq!(money.to_json(), Json::from(text));
        }
    }

    #[test]
    fn rejects_money_that_the_books_cannot_hold() {
        for text in ["100000000000000000000", "0.0000000000000000001"] {
            assert!(Money::from_json(text.into()).is_err(), "{text}");
        }
    }

    #[test]
    fn seconds_keep_their_fraction_without_trailing_zeros() {
        let seconds = Seconds(1.250);

        assert_eq!(serde_json::to_string(&seconds).expect("JSON"), "1.25");
    }
}
