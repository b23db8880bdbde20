//! Dead letters: messages that could not be applied, kept with their original bytes, the reason and a way on.
//!
//! Owns: what a letter says, its writing, the lane's own retries in order, replay and discard by a person. Must not know:
//! HTTP, NATS, when a lane looks. A letter is locked before anything becomes of it, and its end and its effect commit
//! together.

mod filter;
mod insert;
mod publish;
mod queue;
mod read;
mod rehome;
mod replay;
mod resolve;
mod retry;

pub use filter::{Filter, count_open};
pub use insert::{NewLetter, insert};
pub use publish::{count_by_class, mark_published, unpublished};
pub use queue::{due, first_of, oldest_blocking, waiting_keys};
pub use read::{Letter, get, list};
pub use rehome::rehome;
pub use replay::{
    AccountChange, Replay, ReplayOptions, Summary, rehearse_all, replay, replay_all, replay_some,
};
pub use resolve::{Actor, close_applied, discard, discard_all, discarded_of, lock_open_of};
pub use retry::{Retried, put_aside, retry, retry_listed};

use tiris_domain::event::Malformed;
use tiris_domain::ledger::Rejection;

/// Code of a letter whose event id was used before; it can only be discarded.
pub(crate) const EVENT_ID_REUSED: &str = "EVENT_ID_REUSED";
/// Code of a letter that waits behind an earlier one.
pub(crate) const BEHIND_UNRESOLVED: &str = "BEHIND_UNRESOLVED";
/// Code of a replay whose event somebody gave up by another letter.
const EVENT_DISCARDED: &str = "EVENT_DISCARDED";
/// Code of a letter whose reason nobody foresaw.
pub const INTERNAL: &str = "INTERNAL";

/// What can still become of a letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// It is no event; it is never tried again by itself.
    Malformed,
    /// What it names is not there yet; it is tried again by itself.
    Unresolved,
    /// The ledger refuses it; a person decides.
    Rejected,
}

impl Class {
    /// As stored and sent.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Unresolved => "unresolved",
            Self::Rejected => "rejected",
        }
    }
}

/// Why a message is put aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// What can still become of it.
    pub class: Class,
    /// Stable code.
    pub code: &'static str,
    /// In words.
    pub reason: String,
}

impl From<Rejection> for Cause {
    fn from(rejection: Rejection) -> Self {
        let class = if rejection.is_unresolved() {
            Class::Unresolved
        } else {
            Class::Rejected
        };
        Self {
            class,
            code: rejection.code(),
            reason: rejection.to_string(),
        }
    }
}

impl From<&Malformed> for Cause {
    fn from(malformed: &Malformed) -> Self {
        Self {
            class: Class::Malformed,
            code: malformed.kind.code(),
            reason: malformed.to_string(),
        }
    }
}

impl Cause {
    /// The event id was used before, with other content.
    #[must_use]
    pub fn event_id_reused() -> Self {
        let reason = "the event id was used before with other content".to_owned();
        Self {
            class: Class::Rejected,
            code: EVENT_ID_REUSED,
            reason,
        }
    }

    /// The same event came twice, and the other time somebody gave it up.
    fn event_discarded() -> Self {
        let reason =
            "the event was given up by another letter, so it stays out of the books".to_owned();
        Self {
            class: Class::Rejected,
            code: EVENT_DISCARDED,
            reason,
        }
    }

    /// An earlier event of the same user and trading waits to be tried again.
    #[must_use]
    pub fn behind_unresolved() -> Self {
        let reason = "an earlier event of this trading waits to be tried again".to_owned();
        Self {
            class: Class::Unresolved,
            code: BEHIND_UNRESOLVED,
            reason,
        }
    }

    /// Applying it failed for a reason nobody foresaw.
    #[must_use]
    pub fn internal(error: &dyn std::error::Error) -> Self {
        let mut reason = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            reason = format!("{reason}: {cause}");
            source = cause.source();
        }
        Self {
            class: Class::Rejected,
            code: INTERNAL,
            reason,
        }
    }
}
