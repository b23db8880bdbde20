//! Rows of a list, serialized one by one as they are read, so that memory never holds all of them as objects.

use super::parameters::nearest;
use poem_openapi::registry::{MetaSchema, MetaSchemaRef, Registry};
use poem_openapi::types::{ParseError, ParseFromJSON, ParseResult, ToJSON, Type};
use serde::{Serialize, Serializer};
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::marker::PhantomData;
use tiris_store::error::{Error, Result};

/// Longest list of names, in bytes: more than all names of any object.
const FIELDS_BYTES_MAX: usize = 1_024;

/// A list of `T` in a response.
pub(crate) struct Listed<T>(Vec<Box<RawValue>>, PhantomData<T>);

impl<T> From<Vec<Box<RawValue>>> for Listed<T> {
    fn from(rows: Vec<Box<RawValue>>) -> Self {
        Self(rows, PhantomData)
    }
}

impl<T> Serialize for Listed<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<T: Type> Type for Listed<T> {
    const IS_REQUIRED: bool = true;

    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        Vec::<T>::name()
    }

    fn schema_ref() -> MetaSchemaRef {
        Vec::<T>::schema_ref()
    }

    fn register(registry: &mut Registry) {
        Vec::<T>::register(registry);
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(std::iter::once(self))
    }
}

impl<T: Type> ParseFromJSON for Listed<T> {
    fn parse_from_json(_value: Option<Value>) -> ParseResult<Self> {
        Err(ParseError::custom("a list is only sent"))
    }
}

impl<T: Type> ToJSON for Listed<T> {
    fn to_json(&self) -> Option<Value> {
        serde_json::to_value(self).ok()
    }
}

/// The fields that a list carries of each object: all, or those that the parameter `fields` names.
pub(crate) struct Chosen(Option<BTreeSet<String>>);

impl Chosen {
    /// Parses the parameter `fields` of a list of `T`.
    pub(crate) fn of<T: Type>(fields: Option<&str>) -> Result<Self> {
        let Some(fields) = fields else {
            return Ok(Self(None));
        };
        if fields.len() > FIELDS_BYTES_MAX {
            let given = fields.len();
            let why = format!("may have at most {FIELDS_BYTES_MAX} bytes (given: {given})");
            return Err(Error::invalid("fields", why));
        }

        let known = fields_of::<T>();
        let mut chosen = BTreeSet::new();
        for name in fields.split(',').map(str::trim) {
            if !known.contains(name) {
                return Err(Error::invalid("fields", unknown(name, &known)));
            }
            chosen.insert(name.to_owned());
        }
        Ok(Self(Some(chosen)))
    }

    /// Serializes the chosen fields of an object.
    pub(crate) fn serialize(&self, object: &impl Serialize) -> Result<Box<RawValue>> {
        let internal = |error: serde_json::Error| Error::Internal(error.into());
        let Some(chosen) = &self.0 else {
            return to_raw_value(object).map_err(internal);
        };

        let mut object = serde_json::to_value(object).map_err(internal)?;
        if let Some(fields) = object.as_object_mut() {
            fields.retain(|name, _| chosen.contains(name));
        }
        to_raw_value(&object).map_err(internal)
    }
}

fn unknown(name: &str, known: &BTreeSet<String>) -> String {
    let names = || known.iter().map(String::as_str);
    match nearest(name, names()) {
        Some(near) => format!("has no {name}; did you mean {near}?"),
        None => {
            let names: Vec<&str> = names().collect();
            format!("has no {name}; there are {}", names.join(", "))
        }
    }
}

/// Returns the names of the fields of an object, as the document describes it.
fn fields_of<T: Type>() -> BTreeSet<String> {
    let mut registry = Registry::new();
    T::register(&mut registry);

    let mut names = BTreeSet::new();
    add_fields(&T::schema_ref(), &registry, &mut names);
    names
}

fn add_fields(schema: &MetaSchemaRef, registry: &Registry, names: &mut BTreeSet<String>) {
    let schema: Option<&MetaSchema> = match schema {
        MetaSchemaRef::Inline(schema) => Some(schema),
        MetaSchemaRef::Reference(name) => registry.schemas.get(name),
    };
    let Some(schema) = schema else { return };

    for part in &schema.all_of {
        add_fields(part, registry, names);
    }
    names.extend(schema.properties.iter().map(|(name, _)| (*name).to_owned()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use poem_openapi::Object;

    #[derive(Object, Serialize)]
    struct Inner {
        id: i32,
    }

    #[derive(Object, Serialize)]
    struct Outer {
        #[oai(flatten)]
        #[serde(flatten)]
        inner: Inner,
        name: String,
    }

    fn outer() -> Outer {
        Outer {
            inner: Inner { id: 1 },
            name: "a".to_owned(),
        }
    }

    #[test]
    fn carries_the_chosen_fields() {
        for (fields, expected) in [
            (None, r#"{"id":1,"name":"a"}"#),
            (Some("name"), r#"{"name":"a"}"#),
            (Some("name, id"), r#"{"id":1,"name":"a"}"#),
        ] {
            let chosen = Chosen::of::<Outer>(fields).expect("known");
            let row = chosen.serialize(&outer()).expect("JSON");
            assert_eq!(row.get(), expected);
        }
    }

    #[test]
    fn names_the_nearest_field() {
        for (fields, expected) in [
            ("nmae", "did you mean name?"),
            ("", "there are id, name"),
            ("id,,", "there are id, name"),
        ] {
            let error = Chosen::of::<Outer>(Some(fields)).err().expect("unknown");
            assert!(error.to_string().contains(expected), "{error}");
        }
    }
}
