//! The recorded fields of an event and the spans around it, each value as JSON.

use crate::explain;
use serde::Serialize;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::fmt::Debug;
use std::ops::Range;
use tracing::field::{Field, Visit};

/// Recorded values by name; few enough that a linear search is fastest.
pub(super) struct Fields {
    names: Vec<(Cow<'static, str>, Range<usize>)>,
    /// All values, one after the other.
    values: Vec<u8>,
}

impl Default for Fields {
    /// Reserves space for a usual line, because growing step by step costs more than everything else.
    fn default() -> Self {
        Self {
            names: Vec::with_capacity(16),
            values: Vec::with_capacity(512),
        }
    }
}

impl Fields {
    pub(super) fn put(&mut self, name: impl Into<Cow<'static, str>>, value: impl Serialize) {
        let begin = self.values.len();
        // Strings, numbers and booleans always serialize.
        serde_json::to_writer(&mut self.values, &value).ok();
        self.names.push((name.into(), begin..self.values.len()));
    }

    /// Adds those fields of a span, a JSON object, that are not set yet.
    pub(super) fn put_around(&mut self, span: &str) {
        let around: Map<String, Value> = serde_json::from_str(span).unwrap_or_default();
        for (name, value) in around {
            if self.get(&name).is_none() && !is_for_collectors(&name) {
                self.put(name, value);
            }
        }
    }

    pub(super) fn get(&self, name: &str) -> Option<&[u8]> {
        self.iter()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.names
            .iter()
            .map(|(name, at)| (&**name, &self.values[at.clone()]))
    }
}

/// Reports whether a field is meant for collectors of spans only.
fn is_for_collectors(name: &str) -> bool {
    name.starts_with("otel.")
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.put(field.name(), format_args!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if !is_for_collectors(field.name()) {
            self.put(field.name(), value);
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field.name(), value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field.name(), value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field.name(), value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.put(field.name(), explain(value));
    }
}
