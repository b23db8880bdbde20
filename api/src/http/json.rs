//! Reads a JSON object into a request type by serde, so that every mistake names the path of its field, the limit and
//! what was given.
//!
//! serde_json's own deserializer reports mistakes as one sentence with Rust's names; this one keeps field and reason
//! apart. A field that is null counts as absent.

use serde::Deserialize;
use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{self, DeserializeOwned, IgnoredAny, IntoDeserializer, Unexpected, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fmt;
use tiris_domain::json;
use tiris_domain::value::FREE_JSON;
use tiris_store::error::{Error, Result};

/// The key by which serde_json's `Value` takes a number with its text.
const NUMBER: &str = "$serde_json::private::Number";
/// Characters of a wrong value that are shown back.
const SHOWN_CHARS_MAX: usize = 60;

/// Reads the bytes of a body.
pub(super) fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    json::check(bytes).map_err(|error| Error::InvalidInfo(error.to_string()))?;
    let value: Value = serde_json::from_slice(bytes)
        .map_err(|error| Error::InvalidRequest(format!("the body is no JSON: {error}")))?;
    if !value.is_object() {
        return Err(Error::InvalidRequest(
            "the body must be a JSON object".to_owned(),
        ));
    }

    parse(value).map_err(|(mistake, path)| mistake.at(&path))
}

/// Reads an object that stands at `place` in a body.
pub(crate) fn within<T: DeserializeOwned>(place: &str, object: Map<String, Value>) -> Result<T> {
    parse(Value::Object(object)).map_err(|(mistake, path)| mistake.at(&join(place, &path)))
}

fn parse<T: DeserializeOwned>(value: Value) -> Result<T, (Mistake, String)> {
    let mut track = serde_path_to_error::Track::new();
    let reader = serde_path_to_error::Deserializer::new(Reader(value), &mut track);

    T::deserialize(reader).map_err(|mistake| {
        let path = track.path().to_string();
        // The library's name for the whole.
        (mistake, if path == "." { String::new() } else { path })
    })
}

fn join(place: &str, path: &str) -> String {
    if path.is_empty() {
        place.to_owned()
    } else {
        format!("{place}.{path}")
    }
}

/// A field of a request that is not known; whether it is refused depends on the others.
#[derive(Debug, Default)]
pub(crate) struct Unknown(Option<String>);

impl Unknown {
    /// Fails when there is one.
    pub(crate) fn refuse(&self) -> Result<()> {
        match &self.0 {
            Some(field) => Err(Mistake::Unknown(shown(field)).at("")),
            None => Ok(()),
        }
    }
}

impl<'de> Deserialize<'de> for Unknown {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let fields = BTreeMap::<String, IgnoredAny>::deserialize(deserializer)?;
        Ok(Self(fields.into_keys().next()))
    }
}

/// What is wrong with a value, without its place.
#[derive(Debug)]
enum Mistake {
    /// A field is missing in the object.
    Missing(&'static str),
    /// The object has a field that is not known.
    Unknown(String),
    /// A value is not what the field takes.
    Invalid(String),
    /// Free JSON that breaks its rules.
    FreeJson(String),
}

impl Mistake {
    /// The error of the request, for a mistake at `path`, which is empty for the whole body.
    fn at(self, path: &str) -> Error {
        match self {
            Self::Missing(field) if path.is_empty() => Error::MissingField(field.into()),
            Self::Missing(field) => Error::MissingField(join(path, field).into()),
            Self::Unknown(field) => Error::InvalidRequest(format!(
                "unknown field {field:?}: nothing is ignored where money moves"
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

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl std::error::Error for Mistake {}

impl de::Error for Mistake {
    fn custom<T: fmt::Display>(why: T) -> Self {
        Self::Invalid(why.to_string())
    }

    fn missing_field(field: &'static str) -> Self {
        Self::Missing(field)
    }

    fn unknown_field(field: &str, _known: &'static [&'static str]) -> Self {
        Self::Unknown(shown(field))
    }

    fn unknown_variant(variant: &str, known: &'static [&'static str]) -> Self {
        let given = shown(&format!("{variant:?}"));
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

fn shown(text: &str) -> String {
    text.chars().take(SHOWN_CHARS_MAX).collect()
}

/// A value that is read.
struct Reader(Value);

impl IntoDeserializer<'_, Mistake> for Reader {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl Reader {
    fn wrong(&self, expected: &str) -> Mistake {
        let given = shown(&self.0.to_string());
        Mistake::Invalid(format!("must be {expected} (given: {given})"))
    }
}

impl<'de> de::Deserializer<'de> for Reader {
    type Error = Mistake;

    /// For values that are read as a whole, such as free JSON and amounts. serde_json's own deserializer would hand some
    /// numbers over as floats, whose text is another one.
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
        let given = object
            .into_iter()
            .filter(|(name, value)| !(value.is_null() && fields.contains(&name.as_str())))
            .map(|(name, value)| (name, Reader(value)));
        visitor.visit_map(MapDeserializer::new(given))
    }

    /// For a struct that collects its unknown fields.
    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        let Value::Object(object) = self.0 else {
            return Err(self.wrong("an object"));
        };
        let given = object
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| (name, Reader(value)));
        visitor.visit_map(MapDeserializer::new(given))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        match self.0 {
            Value::Array(items) => {
                visitor.visit_seq(SeqDeserializer::new(items.into_iter().map(Reader)))
            }
            _ => Err(self.wrong("a list")),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mistake> {
        match &self.0 {
            Value::String(variant) => visitor.visit_enum(variant.as_str().into_deserializer()),
            _ => Err(self.wrong(&format!("one of {}", variants.join(", ")))),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        match self.0 {
            Value::String(text) => visitor.visit_string(text),
            _ => Err(self.wrong("a string")),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        match self.0 {
            Value::Bool(flag) => visitor.visit_bool(flag),
            _ => Err(self.wrong("true or false")),
        }
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
        tuple tuple_struct identifier ignored_any
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
        #[serde(flatten)]
        unknown: Unknown,
    }

    fn refused(body: &str) -> String {
        let error = read::<Body>(body.as_bytes()).expect_err("a mistake");
        format!("{error:?}")
    }

    #[test]
    fn numbers_keep_their_text() {
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
    fn a_mistake_names_its_path() {
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
            let refused = refused(body);
            assert!(refused.contains(words), "{body}: {refused}");
        }
    }

    #[test]
    fn null_is_as_good_as_absent() {
        let read: Body = read(br#"{"name":"n","info":null,"parts":null}"#).expect("a body");

        assert_eq!(read.info, None);
        assert!(read.parts.is_empty());
    }

    #[test]
    fn fields_that_are_not_known_can_be_refused_later() {
        let object = json!({"amount": "1", "more": 1});
        let part: Part =
            within("info", object.as_object().expect("an object").clone()).expect("a part");

        assert_eq!(part.amount.0.to_string(), "1");
        let error = part.unknown.refuse().expect_err("an unknown field");
        assert!(error.to_string().contains("more"), "{error}");
    }
}
