//! Reads a JSON object into a request type by serde, so that every error names the path of its field, the limit and the
//! given value.
//!
//! serde_json's own deserializer reports an error as one sentence with Rust's names; this one keeps field and reason
//! apart. A known field that is null counts as absent.

use serde::Deserialize;
use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{self, DeserializeOwned, IntoDeserializer, Unexpected, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::{Map, Value};
use std::fmt::Display;
use tiris_domain::json;
use tiris_domain::value::FREE_JSON;
use tiris_store::error::{Error, Result};

/// The key by which serde_json's `Value` reads a number from its text.
const NUMBER: &str = "$serde_json::private::Number";
/// The serde name of a field of type [`Unknown`].
const UNKNOWN: &str = "$unknown";
/// Characters of a wrong value that an error repeats.
const SHOWN_CHARS_MAX: usize = 60;

/// Reads the bytes of a body.
pub(super) fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    json::check(bytes).map_err(|error| Error::InvalidInfo(error.to_string()))?;
    let value = serde_json::from_slice(bytes)
        .map_err(|error| Error::InvalidRequest(format!("the body is not JSON: {error}")))?;
    match value {
        Value::Object(object) => within("", object),
        _ => {
            let why = "the body must be a JSON object".to_owned();
            Err(Error::InvalidRequest(why))
        }
    }
}

/// Reads an object that stands at `place` in a body, which is empty for the whole body.
pub(crate) fn within<T: DeserializeOwned>(place: &str, object: Map<String, Value>) -> Result<T> {
    let mut track = serde_path_to_error::Track::new();
    let reader = Reader(Value::Object(object));
    let reader = serde_path_to_error::Deserializer::new(reader, &mut track);

    T::deserialize(reader).map_err(|mistake| {
        let path = track.path().to_string();
        // The library calls the whole object ".".
        let path = if path == "." { "" } else { &path };
        mistake.at(&join(place, path))
    })
}

fn join(place: &str, path: &str) -> String {
    let parts = [place, path].into_iter().filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join(".")
}

/// The first unknown field of a request whose handler decides whether unknown fields are refused. Its field in the
/// request type is marked `#[serde(rename = "$unknown", default)]`.
#[derive(Debug, Default, Deserialize)]
#[serde(transparent)]
pub(crate) struct Unknown(Option<String>);

impl Unknown {
    /// Fails when the request has an unknown field.
    pub(crate) fn refuse(&self) -> Result<()> {
        match &self.0 {
            Some(field) => Err(Mistake::Unknown(field.clone()).at("")),
            None => Ok(()),
        }
    }
}

/// An error in a value, without its path.
#[derive(Debug, thiserror::Error)]
#[error("invalid value")]
enum Mistake {
    Missing(&'static str),
    Unknown(String),
    Invalid(String),
    /// Free JSON that breaks its rules.
    FreeJson(String),
}

impl Mistake {
    /// Returns the error of the request for a mistake at `path`, which is empty for the whole body.
    fn at(self, path: &str) -> Error {
        match self {
            Self::Missing(field) => Error::MissingField(join(path, field).into()),
            Self::Unknown(field) => Error::InvalidRequest(format!(
                "unknown field {field:?}: remove it; this request allows no unknown fields"
            )),
            Self::Invalid(why) if path.is_empty() => Error::InvalidRequest(why),
            Self::Invalid(why) => Error::InvalidValue {
                field: path.to_owned().into(),
                why,
            },
            Self::FreeJson(why) => Error::InvalidInfo(format!("{path} {why}")),
        }
    }
}

impl de::Error for Mistake {
    fn custom<T: Display>(why: T) -> Self {
        Self::Invalid(why.to_string())
    }

    fn missing_field(field: &'static str) -> Self {
        Self::Missing(field)
    }

    fn unknown_field(field: &str, _known: &'static [&'static str]) -> Self {
        Self::Unknown(shortened(field))
    }

    fn unknown_variant(variant: &str, known: &'static [&'static str]) -> Self {
        let given = shortened(&format!("{variant:?}"));
        Self::Invalid(format!(
            "must be one of {} (given: {given})",
            known.join(", ")
        ))
    }

    fn invalid_value(unexpected: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        match unexpected {
            Unexpected::Other(FREE_JSON) => Self::FreeJson(expected.to_string()),
            other => Self::Invalid(format!("must be {expected} (given: {other})")),
        }
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(SHOWN_CHARS_MAX).collect()
}

/// A deserializer of a JSON value.
struct Reader(Value);

impl IntoDeserializer<'_, Mistake> for Reader {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl Reader {
    fn wrong(&self, expected: &str) -> Mistake {
        let given = shortened(&self.0.to_string());
        Mistake::Invalid(format!("must be {expected} (given: {given})"))
    }

    /// Reads a value that must be of one kind.
    fn only<'de, V: Visitor<'de>>(
        self,
        is_right: fn(&Value) -> bool,
        expected: &str,
        visitor: V,
    ) -> Result<V::Value, Mistake> {
        if is_right(&self.0) {
            de::Deserializer::deserialize_any(self, visitor)
        } else {
            Err(self.wrong(expected))
        }
    }
}

impl<'de> de::Deserializer<'de> for Reader {
    type Error = Mistake;

    /// Reads values as a whole, such as free JSON and amounts. serde_json's own deserializer passes some
    /// numbers as floats, whose text differs from the given one.
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(flag) => visitor.visit_bool(flag),
            Value::Number(number) => {
                let text = [(NUMBER, number.to_string())];
                visitor.visit_map(MapDeserializer::new(text.into_iter()))
            }
            Value::String(text) => visitor.visit_string(text),
            Value::Array(items) => {
                visitor.visit_seq(SeqDeserializer::new(items.into_iter().map(Reader)))
            }
            Value::Object(fields) => {
                let fields = fields
                    .into_iter()
                    .map(|(name, value)| (name, Reader(value)));
                visitor.visit_map(MapDeserializer::new(fields))
            }
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        match self.0 {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mistake> {
        let Value::Object(object) = self.0 else {
            return Err(self.wrong("an object"));
        };
        let is_known = |name: &str| name != UNKNOWN && fields.contains(&name);
        let collects_unknown = fields.contains(&UNKNOWN);
        let unknown = object
            .keys()
            .find(|name| collects_unknown && !is_known(name))
            .map(|name| (UNKNOWN.to_owned(), Value::String(shortened(name))));

        let given = object
            .into_iter()
            .filter(|(name, value)| match is_known(name) {
                true => !value.is_null(),
                false => !collects_unknown,
            })
            .chain(unknown)
            .map(|(name, value)| (name, Reader(value)));
        visitor.visit_map(MapDeserializer::new(given))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        self.only(Value::is_array, "a list", visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mistake> {
        match self.0.as_str() {
            Some(variant) => visitor.visit_enum(variant.into_deserializer()),
            None => Err(self.wrong(&format!("one of {}", variants.join(", ")))),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        self.only(Value::is_string, "a string", visitor)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        self.only(Value::is_boolean, "true or false", visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Mistake> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit unit_struct
        tuple tuple_struct map identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use tiris_domain::value::{Amount, Info, Name};

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body {
        name: Name,
        info: Option<Info>,
        #[serde(default)]
        parts: Vec<Part>,
    }

    #[derive(Debug, Deserialize)]
    struct Part {
        amount: Amount,
        #[serde(rename = "$unknown", default)]
        unknown: Unknown,
    }

    fn error_of(body: &str) -> String {
        let error = read::<Body>(body.as_bytes()).expect_err("a mistake");
        format!("{error:?}")
    }

    fn part(object: Value) -> Part {
        within("info", object.as_object().expect("an object").clone()).expect("a part")
    }

    #[test]
    fn keeps_the_text_of_numbers() {
        let info =
            r#"{"a":-0.000000000000000000000001,"b":[1e2,0.10],"c":12345678901234567890123}"#;
        let body = format!(r#"{{"name":"n","info":{info}}}"#);

        let read: Body = read(body.as_bytes()).expect("a body");

        assert_eq!(read.name.as_str(), "n");
        let kept = read.info.expect("free JSON");
        let expected: Value = serde_json::from_str(info).expect("JSON");
        assert_eq!(Value::Object(kept.0), expected);
    }

    #[test]
    fn names_the_path_of_an_error() {
        for (body, words) in [
            (r#"{}"#, r#"MissingField("name")"#),
            (r#"{"name":null}"#, r#"MissingField("name")"#),
            (
                r#"{"name":"n","parts":[{}]}"#,
                r#"MissingField("parts[0].amount")"#,
            ),
            (
                r#"{"name":"n","parts":[{"amount":"1"},{"amount":true}]}"#,
                r#"field: "parts[1].amount""#,
            ),
            (
                r#"{"name":5}"#,
                r#"field: "name", why: "must be a string (given: 5)""#,
            ),
            (
                r#"{"name":"n","parts":5}"#,
                r#"field: "parts", why: "must be a list (given: 5)""#,
            ),
            (
                r#"{"name":"n","info":[]}"#,
                r#"InvalidInfo("info must be an object")"#,
            ),
            (r#"{"name":"n","more":1}"#, "unknown field"),
        ] {
            let error = error_of(body);
            assert!(error.contains(words), "{body}: {error}");
        }
    }

    #[test]
    fn treats_null_as_absent() {
        let read: Body = read(br#"{"name":"n","info":null,"parts":null}"#).expect("a body");

        assert_eq!(read.info, None);
        assert!(read.parts.is_empty());
    }

    #[test]
    fn collects_an_unknown_field_even_when_it_is_null() {
        for object in [
            json!({"amount": "1", "more": 1}),
            json!({"amount": "1", "more": null}),
        ] {
            let part = part(object);

            assert_eq!(part.amount.0.to_string(), "1");
            let error = part.unknown.refuse().expect_err("an unknown field");
            assert!(error.to_string().contains("more"), "{error}");
        }
    }

    #[test]
    fn accepts_a_client_field_named_like_the_collector_as_unknown() {
        assert!(part(json!({"amount": "1"})).unknown.refuse().is_ok());
        assert!(
            part(json!({"amount": "1", "$unknown": 5}))
                .unknown
                .refuse()
                .is_err()
        );
    }
}
