//! Events that must wait behind an earlier one of the same user and trading.

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
    /// Keys whose events wait from this stream sequence on.
    pub from: BTreeMap<Key, u64>,
    /// Indexes of the entries of the batch that make their last attempt: nothing waits behind them when they fail.
    pub last_tries: BTreeSet<usize>,
}

impl Waiting {
    /// Returns whether `entry` must wait.
    pub(super) fn holds(&self, entry: &Entry) -> bool {
        let is_behind = |from: &u64| {
            let claim = entry.claim.as_ref();
            claim.is_some_and(|claim| claim.stream_seq >= *from)
        };

        self.keys.contains(&entry.key()) || self.from.get(&entry.key()).is_some_and(is_behind)
    }

    /// Makes later entries wait when the entry at index `at` needs a retry.
    pub(super) fn note(&mut self, at: usize, entry: &Entry, disposition: &Disposition) {
        let Disposition::DeadLetter(Cause::Rejected(rejection)) = disposition else {
            return;
        };

        // Events of a disabled user wait until the user is enabled, however often they were tried.
        let is_last = self.last_tries.contains(&at) && *rejection != Rejection::UserDisabled;
        if rejection.is_unresolved() && !is_last {
            self.keys.insert(entry.key());
        }
    }
}
