//! Outcomes of the messages and entries of a batch: counts, log lines, metrics and dead letters all follow from them.

use super::cause::Cause;
use super::entry::Source;
use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use std::borrow::Cow;
use tiris_domain::event::LEFT_OUT;
use tiris_domain::ids::{LogId, TransactionId};
use tiris_domain::ledger::{Effect, Posting};

/// The outcome of one message or entry.
#[derive(Clone, Debug)]
pub enum Disposition {
    /// The entry is in the books.
    Applied(Applied),
    /// The message is a heartbeat, stored unless a later one of its component is.
    Recorded,
    /// An earlier event has the same id and content.
    Duplicate,
    /// The message becomes a dead letter; its claim, if any, is marked dead.
    DeadLetter(Cause),
    /// The entry waits behind an earlier event of one of its accounts that waits; its claim is marked dead.
    Deferred,
}

/// The rows of an entry that is in the books.
#[derive(Clone, Debug)]
pub struct Applied {
    /// The trading log.
    pub log: LogId,
    /// The postings with their ids, in order.
    pub postings: Vec<(TransactionId, Posting)>,
    /// The whole effect, with the new account states.
    pub effect: Effect,
}

impl Applied {
    /// Returns the free JSON of the log: that of the entry, with the differences found by the ledger under `drift`.
    #[must_use]
    pub fn info<'a>(&self, own: &'a Map<String, Value>) -> Cow<'a, Map<String, Value>> {
        if self.effect.drift.is_empty() {
            return Cow::Borrowed(own);
        }

        let drift = self.effect.drift.iter();
        let drift: Map<String, Value> = drift
            .map(|drift| (drift.field.to_string(), drift.amount.to_string().into()))
            .collect();
        let mut info = own.clone();
        info.insert("drift".to_owned(), Value::Object(drift));
        Cow::Owned(info)
    }
}

/// The parts of an event's info that only its log stores, because a bot decides on their size.
const ONLY_IN_LOG: [&str; 4] = ["metadata", "unknown", "raw", LEFT_OUT];

/// Returns the info of the postings of a log.
pub(super) fn info_of_postings(
    source: Source,
    of_log: &Map<String, Value>,
) -> Cow<'_, Map<String, Value>> {
    let is_only_in_log = |key: &str| ONLY_IN_LOG.contains(&key);
    if source != Source::Bot || !of_log.keys().any(|key| is_only_in_log(key)) {
        return Cow::Borrowed(of_log);
    }

    let shared = of_log.iter().filter(|(key, _)| !is_only_in_log(key));
    Cow::Owned(
        shared
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect(),
    )
}

impl Disposition {
    /// Returns the outcome in metrics and log lines.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Applied(_) | Self::Recorded => "applied",
            Self::Duplicate => "duplicate",
            Self::DeadLetter(_) | Self::Deferred => "dead",
        }
    }

    /// Returns the cause of the dead letter, if the outcome is one.
    #[must_use]
    pub const fn cause(&self) -> Option<&Cause> {
        match self {
            Self::Applied(_) | Self::Recorded | Self::Duplicate => None,
            Self::DeadLetter(cause) => Some(cause),
            Self::Deferred => Some(&Cause::BehindUnresolved),
        }
    }

    /// Returns the rows of an entry that is in the books.
    #[must_use]
    pub const fn applied(&self) -> Option<&Applied> {
        match self {
            Self::Applied(applied) => Some(applied),
            Self::Recorded | Self::Duplicate | Self::DeadLetter(_) | Self::Deferred => None,
        }
    }

    /// Returns whether the entry is in the books.
    #[must_use]
    pub const fn is_applied(&self) -> bool {
        matches!(self, Self::Applied(_))
    }

    /// Returns whether the entry was applied although its bot reported another balance, hold or amount than the books have.
    #[must_use]
    pub fn has_drift(&self) -> bool {
        matches!(self, Self::Applied(applied) if !applied.effect.drift.is_empty())
    }
}

/// The result of applying a batch.
#[derive(Debug)]
pub struct Batch {
    /// The `timestamp` of every row that was written.
    pub timestamp: DateTime<Utc>,
    /// The outcome of each message or entry, in order.
    pub dispositions: Vec<Disposition>,
}
