//! Named counters, shared by everything that counts.
//!
//! Owns: adding up. Must not know: what is counted.

use anyhow::Result;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tiris_testing::View;

/// Counters with this beginning are findings.
pub(crate) const WRONG: &str = "WRONG: ";

/// Named counters.
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

    /// Counts a finding and shows it.
    pub(crate) fn wrong(&self, what: &str, begun: Instant, view: &View) {
        self.count(&format!("{WRONG}{what}"));
        view.say(&format!("{:>7.1?} {WRONG}{what}", begun.elapsed()));
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
