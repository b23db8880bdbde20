//! Values of the domain as fields of requests and responses, with the parsing and the schema of the domain.

use poem_openapi::registry::{MetaSchema, MetaSchemaRef, Registry};
use poem_openapi::types::{
    ParseError, ParseFromJSON, ParseFromParameter, ParseResult, ToJSON, Type,
};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use std::borrow::Cow;
use tiris_domain::value::{Schema, SchemaKind, Value};

/// A value of the domain in the API.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Field<T>(pub(crate) T);

impl<T> From<T> for Field<T> {
    fn from(value: T) -> Self {
        Self(value)
    }
}

impl<T: Value + Send + Sync> Type for Field<T> {
    const IS_REQUIRED: bool = true;

    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        T::schema().name.into()
    }

    fn schema_ref() -> MetaSchemaRef {
        let schema = T::schema();
        if is_named(&schema) {
            return MetaSchemaRef::Reference(schema.name.to_owned());
        }
        inline(meta(&schema))
    }

    fn register(registry: &mut Registry) {
        let schema = T::schema();
        if is_named(&schema) {
            registry.create_schema::<Self, _>(schema.name.to_owned(), |_| meta(&schema));
        }
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(std::iter::once(self))
    }
}

impl<T: Value + Send + Sync> ParseFromJSON for Field<T> {
    fn parse_from_json(value: Option<Json>) -> ParseResult<Self> {
        T::from_json(value.unwrap_or_default())
            .map(Self)
            .map_err(ParseError::custom)
    }
}

impl<T: Value + Send + Sync> ParseFromParameter for Field<T> {
    fn parse_from_parameter(value: &str) -> ParseResult<Self> {
        Self::parse_from_json(Some(value.into()))
    }
}

impl<T: Value + Send + Sync> ToJSON for Field<T> {
    fn to_json(&self) -> Option<Json> {
        Some(self.0.to_json())
    }
}

/// Returns whether the document defines the schema once and refers to it: so for sets of choices.
fn is_named(schema: &Schema) -> bool {
    !schema.choices.is_empty()
}

fn inline(schema: MetaSchema) -> MetaSchemaRef {
    MetaSchemaRef::Inline(Box::new(schema))
}

fn meta(schema: &Schema) -> MetaSchema {
    let kind = match schema.kind {
        SchemaKind::String | SchemaKind::StringOrNumber => "string",
        SchemaKind::Number => "number",
        SchemaKind::Integer => "integer",
        SchemaKind::Boolean => "boolean",
        SchemaKind::Object => "object",
    };

    let choices = schema.choices.iter().map(|choice| Json::from(*choice));
    let plain = MetaSchema {
        format: schema.format,
        pattern: schema.pattern.map(str::to_owned),
        min_length: schema.min_length,
        max_length: schema.max_length,
        enum_items: choices.collect(),
        write_only: schema.write_only,
        description: schema.description,
        ..MetaSchema::new(kind)
    };

    let described = match schema.kind {
        SchemaKind::StringOrNumber => MetaSchema {
            one_of: vec![inline(plain), inline(MetaSchema::new("number"))],
            ..MetaSchema::ANY
        },
        SchemaKind::Object => MetaSchema {
            additional_properties: Some(Box::new(inline(MetaSchema::ANY))),
            ..plain
        },
        SchemaKind::String | SchemaKind::Number | SchemaKind::Integer | SchemaKind::Boolean => {
            plain
        }
    };

    MetaSchema {
        example: schema.example.map(|example| example()),
        ..described
    }
}
