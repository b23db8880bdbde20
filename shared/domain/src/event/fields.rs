//! Takes the fields of a payload one by one, checks them, and builds the canonical form on the way.

use super::malformed::MalformedKind;
use crate::ledger::{Asset, OrderId};
use crate::money::Number;
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// Reads a payload object. Fields are taken in a fixed order, so equal content gives equal canonical bytes.
pub(super) struct Fields {
    /// What was not taken yet.
    rest: Map<String, Value>,
    canonical: Sha256,
    /// Prefix of field names in messages: empty, or `fill.`.
    prefix: &'static str,
    /// Fields whose text is kept because no column holds it as it came.
    pub(super) raw: Map<String, Value>,
}

type Field<T> = Result<T, MalformedKind>;

impl Fields {
    pub(super) fn new(object: Map<String, Value>) -> Self {
        Self {
            rest: object,
            canonical: Sha256::new(),
            prefix: "",
            raw: Map::new(),
        }
    }

    /// Opens the object in field `name`; its fields join the same canonical form when it is closed again.
    pub(super) fn open(&mut self, name: &'static str, prefix: &'static str) -> Field<Option<Self>> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Object(object)) => {
                let (canonical, raw) = (self.canonical.clone(), std::mem::take(&mut self.raw));
                Ok(Some(Self {
                    rest: object,
                    canonical,
                    prefix,
                    raw,
                }))
            }
            Some(other) => Err(self.wrong(name, "must be an object", &other)),
        }
    }

    /// Takes back what [`Fields::open`] lent; unknown fields of the inner object stay with the outer one under `name`.
    pub(super) fn close(&mut self, name: &str, inner: Self) {
        self.canonical = inner.canonical;
        self.raw = inner.raw;
        if !inner.rest.is_empty() {
            self.rest.insert(name.to_owned(), Value::Object(inner.rest));
        }
    }

    /// What nobody asked for, and the hash of what somebody did.
    pub(super) fn finish(self) -> (Map<String, Value>, Map<String, Value>, [u8; 16]) {
        let digest = self.canonical.finalize();
        let mut hash = [0; 16];
        hash.copy_from_slice(&digest[..16]);
        (self.rest, self.raw, hash)
    }

    fn take(&mut self, name: &str) -> Option<Value> {
        self.rest
            .shift_remove(name)
            .filter(|value| !value.is_null())
    }

    fn name(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    fn invalid(&self, name: &str, why: impl Into<String>) -> MalformedKind {
        MalformedKind::InvalidValue {
            field: self.name(name),
            why: why.into(),
        }
    }

    fn wrong(&self, name: &str, expected: &str, given: &Value) -> MalformedKind {
        const SHOWN_CHARS_MAX: usize = 80;
        let shown: String = given.to_string().chars().take(SHOWN_CHARS_MAX).collect();
        self.invalid(name, format!("{expected} (given: {shown})"))
    }

    pub(super) fn require<T>(&self, name: &str, value: Option<T>) -> Field<T> {
        value.ok_or_else(|| MalformedKind::MissingField(self.name(name)))
    }

    /// Makes `value` part of the canonical form; the lengths keep neighbouring fields apart.
    fn note(&mut self, name: &str, value: &str) {
        for part in [self.prefix, name, value] {
            self.canonical.update(part.len().to_be_bytes());
            self.canonical.update(part);
        }
    }

    /// A text of 1 to `max` characters.
    pub(super) fn text(&mut self, name: &str, max: usize) -> Field<Option<String>> {
        let text = self.text_unnoted(name, max)?;
        if let Some(text) = &text {
            self.note(name, text);
        }
        Ok(text)
    }

    /// A text that does not count when two events are compared.
    pub(super) fn text_unnoted(&mut self, name: &str, max: usize) -> Field<Option<String>> {
        let Some(text) = self.string(name)? else {
            return Ok(None);
        };
        let length = text.chars().count();
        if (1..=max).contains(&length) {
            Ok(Some(text))
        } else {
            Err(self.invalid(
                name,
                format!("must have 1 to {max} characters (given: {length})"),
            ))
        }
    }

    /// Words for people: at most `max` bytes, possibly none.
    pub(super) fn words(&mut self, name: &str, max: usize) -> Field<Option<String>> {
        let words = self.words_unnoted(name, max)?;
        if let Some(words) = &words {
            self.note(name, words);
        }
        Ok(words)
    }

    /// Words that do not count when two events are compared.
    pub(super) fn words_unnoted(&mut self, name: &str, max: usize) -> Field<Option<String>> {
        let Some(words) = self.string(name)? else {
            return Ok(None);
        };
        if words.len() <= max {
            Ok(Some(words))
        } else {
            Err(self.invalid(
                name,
                format!("must have at most {max} bytes (given: {})", words.len()),
            ))
        }
    }

    fn string(&mut self, name: &str) -> Field<Option<String>> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(self.wrong(name, "must be a text", &other)),
        }
    }

    /// A required text, also kept in `raw`.
    pub(super) fn raw_text(&mut self, name: &str, max: usize) -> Field<String> {
        let text = self.text(name, max)?;
        let text = self.require(name, text)?;
        self.raw.insert(self.name(name), text.clone().into());
        Ok(text)
    }

    /// A required text out of a fixed set.
    pub(super) fn one_of(&mut self, name: &str, allowed: &[&str]) -> Field<String> {
        let text = self.text(name, 128)?;
        let text = self.require(name, text)?;
        if allowed.contains(&text.as_str()) {
            Ok(text)
        } else {
            Err(self.wrong(
                name,
                &format!("must be one of {}", allowed.join(", ")),
                &text.into(),
            ))
        }
    }

    pub(super) fn uuid(&mut self, name: &str) -> Field<Option<Uuid>> {
        let Some(value) = self.take(name) else {
            return Ok(None);
        };
        let parsed = value.as_str().and_then(|text| Uuid::try_parse(text).ok());
        let id = parsed.ok_or_else(|| self.wrong(name, "must be a UUID", &value))?;
        self.note(name, &id.to_string());
        Ok(Some(id))
    }

    pub(super) fn time(&mut self, name: &str) -> Field<DateTime<Utc>> {
        let value = self.take(name);
        let value = self.require(name, value)?;
        let parsed = value
            .as_str()
            .and_then(|text| DateTime::parse_from_rfc3339(text).ok());
        let time = parsed
            .ok_or_else(|| self.wrong(name, "must be an RFC 3339 time", &value))?
            .to_utc();
        self.note(name, &time.to_rfc3339_opts(SecondsFormat::Nanos, true));
        Ok(time)
    }

    /// A number, written as a JSON number or as a text; exact.
    pub(super) fn number(&mut self, name: &str) -> Field<Option<Number>> {
        Ok(self.number_with_text(name)?.map(|(number, _)| number))
    }

    /// A number whose text is kept when its last digits will be rounded away in storage.
    pub(super) fn rounded_number(&mut self, name: &str) -> Field<Option<Number>> {
        let Some((number, text)) = self.number_with_text(name)? else {
            return Ok(None);
        };
        if number.has_too_many_places() {
            self.raw.insert(self.name(name), text.into());
        }
        Ok(Some(number))
    }

    /// A number whose text is kept because no column holds it.
    pub(super) fn raw_number(&mut self, name: &str) -> Field<Option<Number>> {
        let Some((number, text)) = self.number_with_text(name)? else {
            return Ok(None);
        };
        self.raw.insert(self.name(name), text.into());
        Ok(Some(number))
    }

    fn number_with_text(&mut self, name: &str) -> Field<Option<(Number, String)>> {
        let Some(value) = self.take(name) else {
            return Ok(None);
        };
        let text = match &value {
            Value::Number(number) => number.to_string(),
            Value::String(text) => text.clone(),
            _ => return Err(self.wrong(name, "must be a number, or a number in a text", &value)),
        };
        let number: Number = text.parse().map_err(|error| {
            self.wrong(
                name,
                &format!("must be a number within limits: {error}"),
                &value,
            )
        })?;
        self.note(name, &number.to_string());
        Ok(Some((number, text)))
    }

    pub(super) fn asset(&mut self, name: &str) -> Field<Asset> {
        let text = self.text_unnoted(name, 128)?;
        let text = self.require(name, text)?;
        let asset: Asset = text
            .parse()
            .map_err(|why: String| self.wrong(name, &why, &text.as_str().into()))?;
        self.note(name, asset.as_str());
        Ok(asset)
    }

    /// `BASE/QUOTE`.
    pub(super) fn pair(&mut self, name: &str) -> Field<(Asset, Asset)> {
        let text = self.text_unnoted(name, 128)?;
        let text = self.require(name, text)?;
        let parse = || {
            let (base, quote) = text
                .split_once('/')
                .ok_or_else(|| "must be BASE/QUOTE".to_owned())?;
            Ok((base.parse::<Asset>()?, quote.parse::<Asset>()?))
        };
        let (base, quote) =
            parse().map_err(|why: String| self.wrong(name, &why, &text.as_str().into()))?;
        let pair = format!("{base}/{quote}");
        self.note(name, &pair);
        self.raw.insert(self.name(name), pair.into());
        Ok((base, quote))
    }

    pub(super) fn order_id(&mut self, name: &str) -> Field<Option<OrderId>> {
        let Some(text) = self.text(name, crate::ledger::ORDER_ID_LENGTH_MAX)? else {
            return Ok(None);
        };
        text.parse()
            .map(Some)
            .map_err(|why: String| self.invalid(name, why))
    }

    /// A free object that does not count when two events are compared.
    pub(super) fn object(&mut self, name: &str) -> Field<Map<String, Value>> {
        match self.take(name) {
            None => Ok(Map::new()),
            Some(Value::Object(object)) => Ok(object),
            Some(other) => Err(self.wrong(name, "must be an object", &other)),
        }
    }
}
