//! A length of time in answers.

use super::define::Value;
use super::invalid::Invalid;
use super::newtype::serde_by_value;
use super::schema::{Schema, SchemaKind};
use rust_decimal::Decimal;
use serde_json::{Number, Value as Json};

/// A length of time in seconds: a JSON number with its fraction, exact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seconds(pub Decimal);

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
        let number: Option<Number> = self.0.normalize().to_string().parse().ok();

        number.map_or(Json::Null, Json::Number)
    }
}

serde_by_value!(Seconds);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_keep_their_fraction_without_trailing_zeros() {
        let seconds = Seconds("1.250".parse().expect("a decimal"));

        assert_eq!(serde_json::to_string(&seconds).expect("JSON"), "1.25");
    }
}
