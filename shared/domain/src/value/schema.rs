//! The trait of all values, and their schemas as plain data, from which the OpenAPI document is generated.

use super::invalid::Invalid;
use serde_json::Value as Json;

/// A type with a schema and a checked conversion from JSON.
pub trait Value: Sized {
    /// Returns the JSON schema of the type.
    fn schema() -> Schema;

    /// Parses a value.
    ///
    /// # Errors
    /// [`Invalid`] when it has the wrong type or breaks a limit.
    fn from_json(value: Json) -> Result<Self, Invalid>;

    /// Returns the value as JSON.
    fn to_json(&self) -> Json;
}

/// The JSON type of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SchemaKind {
    /// `string`
    String,
    /// `number`
    Number,
    /// `integer`
    Integer,
    /// `boolean`
    Boolean,
    /// `object` with any properties
    Object,
    /// `string`, to which format, pattern and lengths apply, or `number`
    StringOrNumber,
}

/// The schema of a value. Lengths count characters, as JSON Schema does.
#[derive(Clone, Copy, Debug)]
pub struct Schema {
    /// The name of the type in the OpenAPI document.
    pub name: &'static str,
    /// The JSON type.
    pub kind: SchemaKind,
    /// `format`
    pub format: Option<&'static str>,
    /// `pattern`
    pub pattern: Option<&'static str>,
    /// `minLength`
    pub min_length: Option<usize>,
    /// `maxLength`
    pub max_length: Option<usize>,
    /// `enum`; empty when any value is allowed
    pub choices: &'static [&'static str],
    /// `example`
    pub example: Option<fn() -> Json>,
    /// `writeOnly`
    pub write_only: bool,
    /// `description`
    pub description: Option<&'static str>,
}

impl Schema {
    /// A plain `string`.
    pub const STRING: Self = Self::new("string", SchemaKind::String);

    /// Creates a schema with a JSON type and no limits.
    #[must_use]
    pub const fn new(name: &'static str, kind: SchemaKind) -> Self {
        Self {
            name,
            kind,
            format: None,
            pattern: None,
            min_length: None,
            max_length: None,
            choices: &[],
            example: None,
            write_only: false,
            description: None,
        }
    }
}

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
