//! Counts the drift of trading logs in the metrics.

use crate::ledger::{Applied, Disposition};
use std::collections::BTreeMap;
use tiris_domain::states::{DriftKind, State};

/// The drift of the logs of a transaction, by kind. It is recorded after the commit, because a batch that is rolled back is
/// applied again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "record it after the commit"]
pub struct DriftCounts(BTreeMap<DriftKind, u64>);

impl DriftCounts {
    /// Returns the drift of the applied entries.
    pub fn of<'a>(dispositions: impl IntoIterator<Item = &'a Disposition>) -> Self {
        let applied = dispositions.into_iter().filter_map(Disposition::applied);
        let mut counts = Self::default();
        applied.for_each(|applied| counts.add(applied));
        counts
    }

    /// Adds the drift of an applied entry; a kind counts once a log.
    pub fn add(&mut self, applied: &Applied) {
        for kind in applied.effect.drift_kinds() {
            *self.0.entry(kind).or_default() += 1;
        }
    }

    /// Adds the drift of other logs of the transaction.
    pub fn merge(&mut self, other: &Self) {
        for (kind, count) in &other.0 {
            *self.0.entry(*kind).or_default() += count;
        }
    }

    /// Returns whether no log has drift.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds the logs to the metrics.
    pub fn record(&self) {
        for (kind, count) in &self.0 {
            metrics::counter!("ledger_drift_total", "kind" => kind.as_str()).increment(*count);
        }
    }
}

/// Starts the counters at zero, because rules see no increase in a counter's first value.
pub fn begin() {
    for kind in DriftKind::ALL {
        metrics::counter!("ledger_drift_total", "kind" => kind.as_str()).increment(0);
    }
}
