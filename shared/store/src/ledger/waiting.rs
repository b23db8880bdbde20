//! Events that must wait behind an earlier one of the same accounts.

use super::disposition::Disposition;
use super::entry::{Entry, Key};
use std::collections::{BTreeMap, BTreeSet};
use tiris_domain::states::DeadLetterClass;

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
        let claim = entry.claim.as_ref();
        let is_behind = |from: &u64| claim.is_some_and(|claim| claim.stream_seq >= *from);

        entry
            .keys()
            .any(|key| self.keys.contains(&key) || self.from.get(&key).is_some_and(is_behind))
    }

    /// Makes later entries of the same accounts wait when the entry at index `at` needs a retry or waits itself.
    pub(super) fn note(&mut self, at: usize, entry: &Entry, disposition: &Disposition) {
        let is_waiting = match disposition {
            Disposition::Deferred => true,
            Disposition::DeadLetter(cause) => {
                let is_last = self.last_tries.contains(&at) && !cause.is_user_disabled();
                cause.class() == DeadLetterClass::Unresolved && !is_last
            }
            Disposition::Applied(_) | Disposition::Recorded | Disposition::Duplicate => false,
        };
        if is_waiting {
            self.keys.extend(entry.account_keys());
        }
    }
}
