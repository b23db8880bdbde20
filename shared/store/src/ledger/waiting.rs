//! Order behind events that wait to be tried again.
//!
//! Owns: the rule who waits behind whom, within a batch. Must not know: where letters are kept, or when they are tried.

use super::entry::{Entry, Outcome};
use std::collections::{BTreeMap, BTreeSet};
use tiris_domain::ids::{TradingId, UserId};
use tiris_domain::ledger::Rejection;

/// Events of one user and trading keep their order.
pub type Key = (UserId, TradingId);

/// Who waits, and behind whom nobody does.
#[derive(Clone, Debug, Default)]
pub struct Waiting {
    /// Keys with an earlier event that is still tried again.
    pub keys: BTreeSet<Key>,
    /// Keys of which only events from this stream sequence on wait.
    pub from: BTreeMap<Key, i64>,
    /// Places in the batch of entries that are tried for the last time: when they fail, nothing waits behind them.
    pub last_tries: BTreeSet<usize>,
}

impl Waiting {
    /// Whether `entry` must wait.
    pub(super) fn holds(&self, entry: &Entry) -> bool {
        let key = (entry.user, entry.trading);
        let is_behind = |from: &i64| {
            entry
                .claim
                .as_ref()
                .is_some_and(|claim| claim.stream_seq >= *from)
        };
        self.keys.contains(&key) || self.from.get(&key).is_some_and(is_behind)
    }

    /// The entry at place `at` came to `outcome`.
    pub(super) fn note(&mut self, at: usize, entry: &Entry, outcome: &Outcome) {
        let Outcome::Rejected(rejection) = outcome else {
            return;
        };
        // A disabled user's events wait for the user, however often they were tried.
        let is_last = self.last_tries.contains(&at) && *rejection != Rejection::UserDisabled;
        if rejection.is_unresolved() && !is_last {
            self.keys.insert((entry.user, entry.trading));
        }
    }
}
