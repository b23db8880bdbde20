//! Values with a schema of their own: money and free JSON.
//!
//! Owns: how such values look in JSON and in the OpenAPI document. Must not know: which fields carry them.

mod amount;
mod figure;
mod info;
mod money;
mod seconds;
mod secret;

pub(crate) use amount::Amount;
pub(crate) use figure::Figure;
pub(crate) use info::Info;
pub(crate) use money::MoneyText;
pub(crate) use seconds::Seconds;
pub(crate) use secret::{ClearSecret, SecretInput};

/// Makes a type part of the OpenAPI document: its name, its schema, and both ways between it and JSON.
macro_rules! described_type {
    ($type:ty, $name:literal, $schema:expr, $from_json:expr, $to_json:expr) => {
        impl poem_openapi::types::Type for $type {
            const IS_REQUIRED: bool = true;
            type RawValueType = Self;
            type RawElementValueType = Self;

            fn name() -> std::borrow::Cow<'static, str> {
                $name.into()
            }

            fn schema_ref() -> poem_openapi::registry::MetaSchemaRef {
                poem_openapi::registry::MetaSchemaRef::Inline(Box::new($schema))
            }

            fn as_raw_value(&self) -> Option<&Self> {
                Some(self)
            }

            fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
                Box::new(std::iter::once(self))
            }
        }

        impl poem_openapi::types::ParseFromJSON for $type {
            fn parse_from_json(
                value: Option<serde_json::Value>,
            ) -> poem_openapi::types::ParseResult<Self> {
                let parse: fn(serde_json::Value) -> Result<Self, String> = $from_json;
                parse(value.unwrap_or_default()).map_err(poem_openapi::types::ParseError::custom)
            }
        }

        impl poem_openapi::types::ToJSON for $type {
            fn to_json(&self) -> Option<serde_json::Value> {
                let convert: fn(&Self) -> serde_json::Value = $to_json;
                Some(convert(self))
            }
        }
    };
}
use described_type;
