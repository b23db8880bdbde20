//! What became of the messages and entries of a batch: counts, log lines, metrics and dead letters all follow from it.

use super::cause::Cause;
use chrono::{DateTime, Utc};
use tiris_domain::ids::{LogId, TransactionId};
use tiris_domain::ledger::{Effect, Posting};

/// What became of one message or entry.
#[derive(Clone, Debug)]
pub enum Disposition {
    /// It is in the books.
    Applied(Applied),
    /// It is a heartbeat: the latest of its component, or an older one.
    Recorded,
    /// Its event was processed before, with equal content.
    Duplicate,
    /// It is put aside; its claim, if any, is marked dead.
    DeadLetter(Cause),
    /// An earlier event of its trading waits for a retry, and this one waits behind it; its claim is marked dead.
    Deferred,
}

/// An entry that is in the books.
#[derive(Clone, Debug)]
pub struct Applied {
    /// Its trading log.
    pub log: LogId,
    /// Its postings with their ids, in order.
    pub postings: Vec<(TransactionId, Posting)>,
    /// The whole effect, with the new account states.
    pub effect: Effect,
}

impl Disposition {
    /// The outcome in metrics and log lines.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Applied(_) | Self::Recorded => "applied",
            Self::Duplicate => "duplicate",
            Self::DeadLetter(_) | Self::Deferred => "dead",
        }
    }

    /// Why it becomes a dead letter, when it does.
    #[must_use]
    pub const fn cause(&self) -> Option<&Cause> {
        match self {
            Self::Applied(_) | Self::Recorded | Self::Duplicate => None,
            Self::DeadLetter(cause) => Some(cause),
            Self::Deferred => Some(&Cause::BehindUnresolved),
        }
    }

    /// Whether it is in the books.
    #[must_use]
    pub const fn is_applied(&self) -> bool {
        matches!(self, Self::Applied(_))
    }

    /// Whether it was applied although its bot believed another balance, or released another amount, than the books hold.
    #[must_use]
    pub fn has_drift(&self) -> bool {
        matches!(self, Self::Applied(applied) if !applied.effect.drift.is_empty())
    }
}

/// What a batch did.
#[derive(Debug)]
pub struct Batch {
    /// The `timestamp` of every row it wrote.
    pub timestamp: DateTime<Utc>,
    /// What became of each message or entry, in order.
    pub dispositions: Vec<Disposition>,
}
