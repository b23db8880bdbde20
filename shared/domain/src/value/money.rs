//! Money as answers carry it: a string, exact, without an exponent.

use super::define::Value;
use super::invalid::Invalid;
use super::newtype::serde_by_value;
use super::schema::{Schema, SchemaKind};
use super::text::string;
use crate::money::Money;
use serde_json::Value as Json;

impl Value for Money {
    fn schema() -> Schema {
        Schema {
            format: Some("decimal"),
            pattern: Some(r"^-?\d{1,16}(\.\d{1,12})?$"),
            example: Some(|| "0.001".into()),
            ..Schema::new("string_money", SchemaKind::String)
        }
    }

    fn from_json(value: Json) -> Result<Self, Invalid> {
        string(value)?
            .parse()
            .map_err(|why: String| Invalid::new(why))
    }

    fn to_json(&self) -> Json {
        Json::from(self.to_string())
    }
}

serde_by_value!(Money);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_and_the_smallest_amount_keep_every_digit() {
        for text in ["9999999999999999.999999999999", "-0.000000000001"] {
            let money = Money::from_json(text.into()).expect("in range");

            assert_eq!(money.to_json(), Json::from(text));
        }
    }

    #[test]
    fn what_the_books_cannot_hold_is_refused() {
        for text in ["10000000000000000", "0.0000000000001"] {
            assert!(Money::from_json(text.into()).is_err(), "{text}");
        }
    }
}
