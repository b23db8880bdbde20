//! Reads the fields of a JSON object one by one, so that every mistake names its field and its limit.
//!
//! Owns: the checks of single fields. Must not know: which operation asks.

use crate::filter::is_storable;
use crate::value::{Amount, Info};
use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};
use tiris_domain::ledger::{Asset, OrderId};
use tiris_domain::money::Number;
use tiris_store::error::{Error, Result};
use uuid::Uuid;

/// Characters of a wrong value that are shown back.
const SHOWN_CHARS_MAX: usize = 60;

/// What an operation reads from its body.
pub(crate) trait FromFields: Sized {
    /// Takes the fields; what is left over is unknown.
    fn from_fields(fields: &mut Fields) -> Result<Self>;

    /// Whether fields nobody asked for are refused, as they are wherever money moves.
    fn refuses_unknown(&self) -> bool {
        false
    }
}

/// A JSON object of which fields are taken. A name may be dotted (`info.price`): its last part is the key.
pub(crate) struct Fields(Map<String, Value>);

impl Fields {
    pub(crate) fn new(object: Map<String, Value>) -> Self {
        Self(object)
    }

    /// Reads a whole object as `T`.
    pub(crate) fn read<T: FromFields>(object: Map<String, Value>) -> Result<T> {
        let mut fields = Self::new(object);
        let read = T::from_fields(&mut fields)?;
        match fields.0.keys().next() {
            Some(unknown) if read.refuses_unknown() => {
                let shown: String = unknown.chars().take(SHOWN_CHARS_MAX).collect();
                Err(Error::InvalidRequest(format!(
                    "unknown field {shown:?}: nothing is ignored where money moves"
                )))
            }
            Some(_) | None => Ok(read),
        }
    }

    /// Takes a value; null counts as absent.
    pub(crate) fn take(&mut self, name: &'static str) -> Option<Value> {
        let key = name.rsplit('.').next().unwrap_or(name);
        self.0.shift_remove(key).filter(|value| !value.is_null())
    }

    /// A text of `min` to `max` characters.
    pub(crate) fn text(
        &mut self,
        name: &'static str,
        min: usize,
        max: usize,
    ) -> Result<Option<String>> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => {
                let length = text.chars().count();
                if (min..=max).contains(&length) {
                    Ok(Some(text))
                } else {
                    Err(Error::invalid(
                        name,
                        format!("must have {min} to {max} characters (given: {length})"),
                    ))
                }
            }
            Some(other) => Err(wrong(name, "must be a string", &other)),
        }
    }

    /// Words for people: at most `max` bytes, possibly none.
    pub(crate) fn words(&mut self, name: &'static str, max: usize) -> Result<Option<String>> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(words)) if words.len() <= max => Ok(Some(words)),
            Some(Value::String(words)) => Err(Error::invalid(
                name,
                format!("may have at most {max} bytes (given: {})", words.len()),
            )),
            Some(other) => Err(wrong(name, "must be a string", &other)),
        }
    }

    /// A credential of at most `max` characters, each of which `is_allowed`, as `rule` says it. What was given is never
    /// shown back.
    pub(crate) fn secret(
        &mut self,
        name: &'static str,
        max: usize,
        (is_allowed, rule): (fn(char) -> bool, &str),
    ) -> Result<Option<SecretString>> {
        let secret: SecretString = match self.take(name) {
            None => return Ok(None),
            Some(Value::String(text)) => text.into(),
            Some(_) => return Err(Error::invalid(name, "must be a string")),
        };
        let length = secret.expose_secret().chars().count();
        if !(1..=max).contains(&length) {
            return Err(Error::invalid(
                name,
                format!("must have 1 to {max} characters (given: {length})"),
            ));
        }
        if !secret.expose_secret().chars().all(is_allowed) {
            return Err(Error::invalid(name, format!("must have {rule} only")));
        }
        Ok(Some(secret))
    }

    /// One of a fixed set of texts.
    pub(crate) fn one_of<T: Copy>(
        &mut self,
        name: &'static str,
        allowed: &[(&str, T)],
    ) -> Result<Option<T>> {
        let Some(value) = self.take(name) else {
            return Ok(None);
        };
        let found = allowed
            .iter()
            .find(|(text, _)| value.as_str() == Some(text));
        found.map(|(_, choice)| Some(*choice)).ok_or_else(|| {
            let texts: Vec<&str> = allowed.iter().map(|(text, _)| *text).collect();
            wrong(
                name,
                &format!("must be one of {}", texts.join(", ")),
                &value,
            )
        })
    }

    /// True or false.
    pub(crate) fn flag(&mut self, name: &'static str) -> Result<Option<bool>> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(flag)),
            Some(other) => Err(wrong(name, "must be true or false", &other)),
        }
    }

    /// A list of at most `max` texts.
    pub(crate) fn texts(&mut self, name: &'static str, max: usize) -> Result<Option<Vec<String>>> {
        let Some(value) = self.take(name) else {
            return Ok(None);
        };
        let items = value.as_array().filter(|items| items.len() <= max);
        let texts = items.and_then(|items| {
            items
                .iter()
                .map(|item| item.as_str().map(str::to_owned))
                .collect()
        });
        texts.map(Some).ok_or_else(|| {
            wrong(
                name,
                &format!("must be a list of at most {max} strings"),
                &value,
            )
        })
    }

    /// A UUID in its usual spelling.
    pub(crate) fn uuid(&mut self, name: &'static str) -> Result<Option<Uuid>> {
        let Some(value) = self.take(name) else {
            return Ok(None);
        };
        let id = value.as_str().and_then(|text| Uuid::try_parse(text).ok());
        id.map(Some)
            .ok_or_else(|| wrong(name, "must be a UUID", &value))
    }

    /// A time in RFC 3339, cut to the microseconds the database keeps; a leap second is the second after it.
    pub(crate) fn time(&mut self, name: &'static str) -> Result<Option<DateTime<Utc>>> {
        let Some(value) = self.take(name) else {
            return Ok(None);
        };
        let parsed = value
            .as_str()
            .and_then(|text| DateTime::parse_from_rfc3339(text).ok());
        let time = parsed.and_then(|time| DateTime::from_timestamp_micros(time.timestamp_micros()));
        let time = time.filter(|time| is_storable(*time));
        time.map(Some).ok_or_else(|| {
            wrong(
                name,
                "must be an RFC 3339 time such as 2026-01-31T12:00:00Z",
                &value,
            )
        })
    }

    /// An amount, from a number or a string.
    pub(crate) fn amount(&mut self, name: &'static str) -> Result<Option<Number>> {
        let Some(value) = self.take(name) else {
            return Ok(None);
        };
        Amount::from_value(&value)
            .map(|amount| Some(amount.0))
            .map_err(|why| wrong(name, &why, &value))
    }

    /// The symbol of an asset, upper-cased.
    pub(crate) fn asset(&mut self, name: &'static str) -> Result<Option<Asset>> {
        let Some(value) = self.take(name) else {
            return Ok(None);
        };
        let text = value
            .as_str()
            .ok_or_else(|| wrong(name, "must be a string", &value))?;
        text.parse()
            .map(Some)
            .map_err(|why: String| wrong(name, &why, &value))
    }

    /// An order id.
    pub(crate) fn order(&mut self, name: &'static str) -> Result<Option<OrderId>> {
        let Some(value) = self.take(name) else {
            return Ok(None);
        };
        let text = value
            .as_str()
            .ok_or_else(|| wrong(name, "must be a string", &value))?;
        text.parse()
            .map(Some)
            .map_err(|why: String| wrong(name, &why, &value))
    }

    /// Free JSON; absent is empty.
    pub(crate) fn info(&mut self) -> Result<Info> {
        self.take("info")
            .map_or_else(|| Ok(Info::default()), Info::from_value)
    }

    /// Free JSON that replaces what is there; absent leaves it alone.
    pub(crate) fn new_info(&mut self) -> Result<Option<Info>> {
        self.take("info").map(Info::from_value).transpose()
    }

    /// Free JSON under another name, or whose absence says something.
    pub(crate) fn free(&mut self, name: &'static str) -> Result<Option<Info>> {
        self.take(name)
            .map(|value| Info::named(name, value))
            .transpose()
    }

    /// A list of at most `max` objects; absent is empty.
    pub(crate) fn objects(
        &mut self,
        name: &'static str,
        max: usize,
    ) -> Result<Vec<Map<String, Value>>> {
        let Some(value) = self.take(name) else {
            return Ok(Vec::new());
        };
        let Value::Array(items) = value else {
            return Err(wrong(name, "must be a list of objects", &value));
        };
        if items.len() > max {
            return Err(Error::invalid(
                name,
                format!("may have at most {max} items (given: {})", items.len()),
            ));
        }
        let object = |item| match item {
            Value::Object(object) => Ok(object),
            other => Err(wrong(name, "must be a list of objects", &other)),
        };
        items.into_iter().map(object).collect()
    }
}

/// A field that must be there.
pub(crate) fn required<T>(name: &'static str, value: Option<T>) -> Result<T> {
    value.ok_or(Error::MissingField(name))
}

fn wrong(name: &'static str, expected: &str, given: &Value) -> Error {
    let shown: String = given.to_string().chars().take(SHOWN_CHARS_MAX).collect();
    Error::invalid(name, format!("{expected} (given: {shown})"))
}
