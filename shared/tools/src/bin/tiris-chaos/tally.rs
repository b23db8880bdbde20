//! Named counters.

use anyhow::Result;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The prefix of counters that are findings.
pub(crate) const WRONG: &str = "WRONG: ";

/// Named counters, shared by all tasks.
#[derive(Debug, Default)]
pub(crate) struct Tally(Mutex<BTreeMap<String, u64>>);

impl Tally {
    pub(crate) fn count(&self, name: &str) {
        self.add(name, 1);
    }

    pub(crate) fn add(&self, name: &str, more: u64) {
        *self.counts().entry(name.to_owned()).or_insert(0) += more;
    }

    /// Adds a time in milliseconds.
    pub(crate) fn add_millis(&self, name: &str, time: Duration) -> Result<()> {
        let name = format!("{name}, in milliseconds");
        self.add(&name, u64::try_from(time.as_millis())?);
        Ok(())
    }

    pub(crate) fn get(&self, name: &str) -> u64 {
        self.counts().get(name).copied().unwrap_or(0)
    }

    pub(crate) fn all(&self) -> BTreeMap<String, u64> {
        self.counts().clone()
    }

    fn counts(&self) -> MutexGuard<'_, BTreeMap<String, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
