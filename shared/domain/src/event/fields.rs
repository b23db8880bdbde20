//! Takes the fields of a payload one by one as typed values, and adds them to the content of the event.

use super::content::Content;
use super::malformed::MalformedKind;
use crate::money::Number;
use crate::value::{Amount, Invalid, Moment, Value};
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value as Json};
use std::fmt::Display;

/// Reads a payload object. Fields are taken in a fixed order, so equal content gives equal hashes; null is absent.
pub(super) struct Fields<'a> {
    /// Fields not taken yet.
    rest: Map<String, Json>,
    /// Prefix of field names: empty, or `fill.`.
    prefix: &'static str,
    content: &'a mut Content,
}

pub(super) type Field<T> = Result<T, MalformedKind>;

impl<'a> Fields<'a> {
    pub(super) fn new(object: Map<String, Json>, content: &'a mut Content) -> Self {
        Self {
            rest: object,
            prefix: "",
            content,
        }
    }

    /// The fields that were not taken.
    pub(super) fn into_rest(self) -> Map<String, Json> {
        self.rest
    }

    /// Reads the object in field `name` by `read`; its unknown fields stay here, under `name`.
    pub(super) fn nested<T>(
        &mut self,
        name: &str,
        prefix: &'static str,
        read: impl FnOnce(&mut Fields<'_>) -> Field<T>,
    ) -> Field<Option<T>> {
        let Some(object) = self.object(name)? else {
            return Ok(None);
        };
        let mut inner = Fields {
            rest: object,
            prefix,
            content: &mut *self.content,
        };

        let value = read(&mut inner)?;

        let unknown = inner.into_rest();
        if !unknown.is_empty() {
            self.rest.insert(name.to_owned(), Json::Object(unknown));
        }
        Ok(Some(value))
    }

    /// An optional value that does not count when two events are compared.
    pub(super) fn uncounted<T: Value>(&mut self, name: &str) -> Field<Option<T>> {
        let Some(value) = self.take(name) else {
            return Ok(None);
        };

        T::from_json(value)
            .map(Some)
            .map_err(|why| self.invalid(name, why))
    }

    /// An optional value.
    pub(super) fn optional<T: Value + Display>(&mut self, name: &str) -> Field<Option<T>> {
        let value = self.uncounted::<T>(name)?;
        if let Some(value) = &value {
            self.content.add(self.prefix, name, value);
        }

        Ok(value)
    }

    /// A required value.
    pub(super) fn required<T: Value + Display>(&mut self, name: &str) -> Field<T> {
        let value = self.optional(name)?;

        self.present(name, value)
    }

    /// An optional value whose text is kept.
    pub(super) fn kept_optional<T: Value + Display>(&mut self, name: &str) -> Field<Option<T>> {
        let value = self.optional::<T>(name)?;
        if let Some(value) = &value {
            self.keep(name, value.to_string());
        }

        Ok(value)
    }

    /// A required value whose text is kept.
    pub(super) fn kept<T: Value + Display>(&mut self, name: &str) -> Field<T> {
        let value = self.kept_optional(name)?;

        self.present(name, value)
    }

    /// An optional number, kept as it is spelled.
    pub(super) fn kept_number_optional(&mut self, name: &str) -> Field<Option<Number>> {
        self.number(name, |_| true)
    }

    /// A required number, kept as it is spelled.
    pub(super) fn kept_number(&mut self, name: &str) -> Field<Number> {
        let number = self.kept_number_optional(name)?;

        self.present(name, number)
    }

    /// An optional number, kept as it is spelled when storage will round it.
    pub(super) fn rounded_number(&mut self, name: &str) -> Field<Option<Number>> {
        self.number(name, Number::has_too_many_places)
    }

    fn number(&mut self, name: &str, is_kept: fn(&Number) -> bool) -> Field<Option<Number>> {
        let Some(value) = self.take(name) else {
            return Ok(None);
        };

        let amount = Amount::read(&value).map_err(|why| self.invalid(name, why))?;
        self.content.add(self.prefix, name, &amount);

        if is_kept(&amount.0) {
            let spelled = match value {
                Json::String(text) => text,
                Json::Number(number) => number.to_string(),
                other => other.to_string(),
            };
            self.keep(name, spelled);
        }
        Ok(Some(amount.0))
    }

    /// A required time, to its last digit.
    pub(super) fn time(&mut self, name: &str) -> Field<DateTime<Utc>> {
        let value = self.take(name);
        let value = self.present(name, value)?;
        let time = Moment::exact(&value).ok_or_else(|| {
            self.invalid(name, Invalid::given("must be an RFC 3339 time", &value))
        })?;

        let text = time.to_rfc3339_opts(SecondsFormat::Nanos, true);
        self.content.add(self.prefix, name, &text);
        Ok(time)
    }

    /// A free object that does not count when two events are compared.
    pub(super) fn object(&mut self, name: &str) -> Field<Option<Map<String, Json>>> {
        match self.take(name) {
            None => Ok(None),
            Some(Json::Object(object)) => Ok(Some(object)),
            Some(other) => Err(self.invalid(name, Invalid::given("must be an object", &other))),
        }
    }

    /// A value that must not be absent.
    pub(super) fn present<T>(&self, name: &str, value: Option<T>) -> Field<T> {
        value.ok_or_else(|| MalformedKind::MissingField(self.path(name)))
    }

    /// The error for a value of field `name`.
    pub(super) fn invalid(&self, name: &str, why: Invalid) -> MalformedKind {
        MalformedKind::InvalidValue {
            field: self.path(name),
            why,
        }
    }

    fn take(&mut self, name: &str) -> Option<Json> {
        self.rest
            .shift_remove(name)
            .filter(|value| !value.is_null())
    }

    /// Keeps the text of a field.
    pub(super) fn keep(&mut self, name: &str, text: String) {
        self.content.raw.insert(self.path(name), Json::from(text));
    }

    fn path(&self, name: &str) -> String {
        [self.prefix, name].concat()
    }
}
