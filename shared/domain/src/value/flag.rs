//! True or false.

use super::define::Value;
use super::invalid::Invalid;
use super::schema::{Schema, SchemaKind};
use serde_json::Value as Json;

impl Value for bool {
    fn schema() -> Schema {
        Schema::new("boolean", SchemaKind::Boolean)
    }

    fn from_json(value: Json) -> Result<Self, Invalid> {
        value
            .as_bool()
            .ok_or_else(|| Invalid::given("must be true or false", &value))
    }

    fn to_json(&self) -> Json {
        Json::from(*self)
    }
}
