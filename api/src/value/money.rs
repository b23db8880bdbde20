//! Money as answers carry it: a string, exact, without an exponent.

use super::described_type;
use poem_openapi::registry::MetaSchema;
use rust_decimal::Decimal;
use serde::Serialize;
use serde_json::Value;
use tiris_domain::money::Money;
use tiris_store::error::{Error, Result};

/// An amount in an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(crate) struct MoneyText(pub(crate) Money);

impl MoneyText {
    /// The amount a column of money holds.
    pub(crate) fn from_column(value: Decimal) -> Result<Self> {
        Money::from_decimal(value)
            .map(Self)
            .ok_or_else(|| Error::internal(format!("a column of money holds {value}")))
    }
}

described_type!(
    MoneyText,
    "string_money",
    MetaSchema {
        example: Some("0.001".into()),
        pattern: Some(r"^-?\d{1,16}(\.\d{1,12})?$".to_owned()),
        ..MetaSchema::new_with_format("string", "decimal")
    },
    |value| match value {
        Value::String(text) => text.parse().map(MoneyText),
        other => Err(format!("{other} is no string")),
    },
    |money| Value::String(money.0.to_string())
);
