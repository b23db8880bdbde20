//! A sum of money or a value in answers: a string, exact, and without the limits of what can be booked.

use super::described_type;
use poem_openapi::registry::MetaSchema;
use serde::{Serialize, Serializer};
use serde_json::Value;
use tiris_domain::money::Number;

/// A sum or a value in an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Figure(pub(crate) Number);

impl Serialize for Figure {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

described_type!(
    Figure,
    "string_figure",
    MetaSchema {
        example: Some("12.5".into()),
        pattern: Some(r"^-?\d+(\.\d+)?$".to_owned()),
        ..MetaSchema::new_with_format("string", "decimal")
    },
    |value| match value {
        Value::String(text) => text
            .parse()
            .map(Figure)
            .map_err(|error| format!("{text}: {error}")),
        other => Err(format!("{other} is no string")),
    },
    |figure| Value::String(figure.0.to_string())
);
