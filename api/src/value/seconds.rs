//! A length of time in seconds, as a JSON number with its fraction, exact.

use super::described_type;
use poem_openapi::registry::MetaSchema;
use rust_decimal::Decimal;
use serde::{Serialize, Serializer};
use serde_json::{Number, Value};

/// Seconds in an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seconds(pub(crate) Decimal);

impl Seconds {
    fn number(self) -> Option<Number> {
        self.0.normalize().to_string().parse().ok()
    }
}

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.number().serialize(serializer)
    }
}

described_type!(
    Seconds,
    "number_seconds",
    MetaSchema {
        example: Some(serde_json::json!(1.25)),
        ..MetaSchema::new("number")
    },
    |value| match value {
        Value::Number(number) => {
            number
                .to_string()
                .parse()
                .map(Seconds)
                .map_err(|_| format!("{number} is no length of time"))
        }
        other => Err(format!("{other} is no number")),
    },
    |seconds| seconds.number().map_or(Value::Null, Value::Number)
);
