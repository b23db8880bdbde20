//! Reads the fields of a payload as typed values and adds them to the content of the event.

use super::content::Content;
use super::malformed::MalformedKind;
use crate::money::Number;
use crate::value::{Amount, Invalid, Moment, Value};
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value as Json};
use std::fmt::Display;

/// The fields of a payload. They are read in a fixed order, so equal content gives equal hashes; null is absent.
pub(super) struct Fields<'a> {
    /// Fields that are not read yet.
    rest: Map<String, Json>,
    /// The prefix of field names: empty, or `fill.`.
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

    /// Returns the fields that were not read.
    pub(super) fn into_rest(self) -> Map<String, Json> {
        self.rest
    }

    /// Reads an optional object with `read`; its unknown fields remain here, under `name`.
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

    /// Reads an optional list of objects with `read`, each under its own prefix; their unknown fields remain here, under
    /// `name`.
    pub(super) fn list<T>(
        &mut self,
        name: &str,
        prefixes: &[&'static str],
        read: impl Fn(&mut Fields<'_>) -> Field<T>,
    ) -> Field<Option<Vec<T>>> {
        let items = match self.remove(name) {
            None => return Ok(None),
            Some(Json::Array(items)) => items,
            Some(other) => return Err(self.invalid(name, Invalid::given("must be a list", &other))),
        };
        if items.len() > prefixes.len() {
            let why = format!("may have at most {} entries", prefixes.len());
            return Err(self.invalid(name, Invalid::new(why)));
        }

        let mut values = Vec::new();
        let mut unknown = Map::new();
        for (item, prefix) in items.into_iter().zip(prefixes) {
            let Json::Object(object) = item else {
                let why = Invalid::given("must be a list of objects", &item);
                return Err(self.invalid(name, why));
            };
            let mut inner = Fields {
                rest: object,
                prefix,
                content: &mut *self.content,
            };
            values.push(read(&mut inner)?);
            for (field, value) in inner.into_rest() {
                unknown.insert([prefix, &*field].concat(), value);
            }
        }

        if !unknown.is_empty() {
            self.rest.insert(name.to_owned(), Json::Object(unknown));
        }
        Ok(Some(values))
    }

    /// Reads an optional value that is not part of the content hash.
    pub(super) fn unhashed<T: Value>(&mut self, name: &str) -> Field<Option<T>> {
        let value = self.remove(name).map(T::from_json).transpose();

        value.map_err(|why| self.invalid(name, why))
    }

    /// Reads an optional value.
    pub(super) fn optional<T: Value + Display>(&mut self, name: &str) -> Field<Option<T>> {
        let value = self.unhashed::<T>(name)?;
        if let Some(value) = &value {
            self.content.add(self.prefix, name, value);
        }

        Ok(value)
    }

    /// Reads a required value.
    pub(super) fn required<T: Value + Display>(&mut self, name: &str) -> Field<T> {
        let value = self.optional(name)?;

        self.require(name, value)
    }

    /// Reads an optional value and keeps its text.
    pub(super) fn kept_optional<T: Value + Display>(&mut self, name: &str) -> Field<Option<T>> {
        let value = self.optional::<T>(name)?;
        if let Some(value) = &value {
            self.keep(name, value.to_string());
        }

        Ok(value)
    }

    /// Reads a required value and keeps its text.
    pub(super) fn kept<T: Value + Display>(&mut self, name: &str) -> Field<T> {
        let value = self.kept_optional(name)?;

        self.require(name, value)
    }

    /// Reads an optional number and keeps its spelling.
    pub(super) fn kept_number_optional(&mut self, name: &str) -> Field<Option<Number>> {
        self.number(name, |_| true)
    }

    /// Reads a required number and keeps its spelling.
    pub(super) fn kept_number(&mut self, name: &str) -> Field<Number> {
        let number = self.kept_number_optional(name)?;

        self.require(name, number)
    }

    /// Reads an optional number and keeps its spelling if the books must round it.
    pub(super) fn rounded_number(&mut self, name: &str) -> Field<Option<Number>> {
        self.number(name, Number::has_too_many_places)
    }

    fn number(&mut self, name: &str, is_kept: fn(&Number) -> bool) -> Field<Option<Number>> {
        let Some(value) = self.remove(name) else {
            return Ok(None);
        };

        let amount = Amount::parse(&value).map_err(|why| self.invalid(name, why))?;
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

    /// Reads a required time to its last digit.
    pub(super) fn time(&mut self, name: &str) -> Field<DateTime<Utc>> {
        let time = self.time_optional(name)?;

        self.require(name, time)
    }

    /// Reads an optional time to its last digit.
    pub(super) fn time_optional(&mut self, name: &str) -> Field<Option<DateTime<Utc>>> {
        let Some(value) = self.remove(name) else {
            return Ok(None);
        };
        let time = Moment::exact(&value).map_err(|why| self.invalid(name, why))?;

        let text = time.to_rfc3339_opts(SecondsFormat::Nanos, true);
        self.content.add(self.prefix, name, &text);
        Ok(Some(time))
    }

    /// Reads an optional free object that is not part of the content hash.
    pub(super) fn object(&mut self, name: &str) -> Field<Option<Map<String, Json>>> {
        match self.remove(name) {
            None => Ok(None),
            Some(Json::Object(object)) => Ok(Some(object)),
            Some(other) => Err(self.invalid(name, Invalid::given("must be an object", &other))),
        }
    }

    /// Requires a value that was read as optional.
    pub(super) fn require<T>(&self, name: &str, value: Option<T>) -> Field<T> {
        value.ok_or_else(|| MalformedKind::MissingField(self.path(name)))
    }

    /// Returns the error for an invalid value of a field.
    pub(super) fn invalid(&self, name: &str, why: Invalid) -> MalformedKind {
        MalformedKind::InvalidValue {
            field: self.path(name),
            why,
        }
    }

    fn remove(&mut self, name: &str) -> Option<Json> {
        self.rest
            .shift_remove(name)
            .filter(|value| !value.is_null())
    }

    /// Keeps the text of a field in the event's info.
    pub(super) fn keep(&mut self, name: &str, text: String) {
        self.content.raw.insert(self.path(name), Json::from(text));
    }

    fn path(&self, name: &str) -> String {
        [self.prefix, name].concat()
    }
}
