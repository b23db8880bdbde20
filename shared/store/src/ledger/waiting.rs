//! Which events wait behind an earlier one of the same user and trading.

use super::cause::Cause;
use super::disposition::Disposition;
use super::entry::{Entry, Key};
use std::collections::{BTreeMap, BTreeSet};
use tiris_domain::ledger::Rejection;

/// Keys whose later events must queue.
#[derive(Clone, Debug, Default)]
pub struct Waiting {
    /// Keys with an earlier event that is still retried.
    pub keys: BTreeSet<Key>,
    /// Keys of which only events from this stream sequence on wait.
    pub from: BTreeMap<Key, u64>,
    /// Places among the entries of the batch of those that are tried for the last time: when they fail, nothing waits
    /// behind them.
    pub last_tries: BTreeSet<usize>,
}

impl Waiting {
    /// Whether `entry` must wait.
    pub(super) fn holds(&self, entry: &Entry) -> bool {
        let is_behind = |from: &u64| {
            let claim = entry.claim.as_ref();
            claim.is_some_and(|claim| claim.stream_seq >= *from)
        };

        self.keys.contains(&entry.key()) || self.from.get(&entry.key()).is_some_and(is_behind)
    }

    /// Notes what became of the entry at place `at`.
    pub(super) fn note(&mut self, at: usize, entry: &Entry, disposition: &Disposition) {
        let Disposition::DeadLetter(Cause::Rejected(rejection)) = disposition else {
            return;
        };

        // A disabled user's events wait for the user, however often they were tried.
        let is_last = self.last_tries.contains(&at) && *rejection != Rejection::UserDisabled;
        if rejection.is_unresolved() && !is_last {
            self.keys.insert(entry.key());
        }
    }
}
