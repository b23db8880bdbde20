//! How a value looks in JSON, as plain data that an OpenAPI document can be made of.

use serde_json::Value as Json;

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
    /// One of `string`, which alone has format, pattern and lengths, and `number`
    StringOrNumber,
}

/// The schema of a value. Lengths count characters, as JSON Schema does.
#[derive(Clone, Copy, Debug)]
pub struct Schema {
    /// The name of the type.
    pub name: &'static str,
    /// Its JSON type.
    pub kind: SchemaKind,
    /// `format`
    pub format: Option<&'static str>,
    /// `pattern`
    pub pattern: Option<&'static str>,
    /// `minLength`
    pub min_length: Option<usize>,
    /// `maxLength`
    pub max_length: Option<usize>,
    /// `enum`; empty when the value is none of a fixed set
    pub choices: &'static [&'static str],
    /// `example`
    pub example: Option<fn() -> Json>,
    /// `writeOnly`
    pub write_only: bool,
    /// `description`
    pub description: Option<&'static str>,
}

impl Schema {
    /// A schema that says the JSON type only.
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
