//! What spans and events record, each value as JSON from the moment it is told.
//!
//! Owns: how values become JSON, and which of several by one name counts. Must not know: what a line looks like.

use crate::explain;
use serde::{Serialize, Serializer as _};
use std::fmt::{Debug, Display};
use std::ops::Range;
use tracing::field::{Field, Visit};

/// What a span or an event recorded; there are few, so that looking through all finds one fastest. What is recorded again
/// is kept beside what was before, and the last counts.
#[derive(Default)]
pub(super) struct Fields {
    names: Vec<(&'static str, Range<usize>)>,
    /// The values as JSON, one after the other.
    values: Vec<u8>,
}

impl Fields {
    pub(super) fn put(&mut self, name: &'static str, value: impl Serialize) {
        let begin = self.values.len();
        // Texts and numbers always serialize.
        serde_json::to_writer(&mut self.values, &value).ok();
        self.names.push((name, begin..self.values.len()));
    }

    pub(super) fn put_shown(&mut self, name: &'static str, value: impl Display) {
        let begin = self.values.len();
        serde_json::Serializer::new(&mut self.values)
            .collect_str(&value)
            .ok();
        self.names.push((name, begin..self.values.len()));
    }

    /// Takes over what `other` has and this has not; of a name that is there twice, the last counts.
    pub(super) fn put_around(&mut self, other: &Self) {
        for (name, value) in other.iter().rev() {
            if self.get(name).is_none() {
                let begin = self.values.len();
                self.values.extend_from_slice(value);
                self.names.push((name, begin..self.values.len()));
            }
        }
    }

    pub(super) fn get(&self, name: &str) -> Option<&[u8]> {
        self.iter()
            .rev()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value)
    }

    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = (&'static str, &[u8])> {
        self.names
            .iter()
            .map(|(name, at)| (*name, &self.values[at.clone()]))
    }

    pub(super) fn clear(&mut self) {
        self.names.clear();
        self.values.clear();
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.put_shown(field.name(), format_args!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        // Those are for the collector of spans.
        if !field.name().starts_with("otel.") {
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
