//! The reasons why an event becomes a dead letter.

use std::fmt;
use tiris_domain::event::Malformed;
use tiris_domain::ledger::{Rejected, Rejection};
use tiris_domain::states::DeadLetterClass;

/// The reason why an event becomes a dead letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The message is not an event.
    Malformed(Box<Malformed>),
    /// The ledger refuses it.
    Rejected(Rejected),
    /// An earlier event with other content has the same id. The dead letter can only be discarded.
    EventIdReused,
    /// Another dead letter of the same event was discarded.
    EventDiscarded,
    /// An earlier event of the same accounts waits for a retry.
    BehindUnresolved,
    /// Applying the event failed unexpectedly; holds the error message.
    Internal(String),
}

impl Cause {
    /// The code of [`Self::EventIdReused`].
    pub const EVENT_ID_REUSED: &'static str = "EVENT_ID_REUSED";
    /// The code of [`Self::BehindUnresolved`].
    pub const BEHIND_UNRESOLVED: &'static str = "BEHIND_UNRESOLVED";
    /// The code of an event whose payload names another user than its subject.
    pub const SUBJECT_MISMATCH: &'static str = "SUBJECT_MISMATCH";
    /// The code of [`Self::Internal`].
    pub const INTERNAL: &'static str = "INTERNAL";

    /// Returns [`Self::Internal`] with the messages of the error and of its sources.
    #[must_use]
    pub fn internal(error: &dyn std::error::Error) -> Self {
        let causes = std::iter::successors(Some(error), |error| error.source());
        let texts: Vec<String> = causes.map(ToString::to_string).collect();
        Self::Internal(texts.join(": "))
    }

    /// Returns the rejection by the ledger, if that is the cause.
    #[must_use]
    pub const fn rejection(&self) -> Option<Rejection> {
        match self {
            Self::Rejected(rejected) => Some(rejected.rejection),
            _ => None,
        }
    }

    /// Returns the class of the dead letter, which says whether it is retried.
    #[must_use]
    pub const fn class(&self) -> DeadLetterClass {
        match self {
            Self::Malformed(_) => DeadLetterClass::Malformed,
            Self::Rejected(rejected) if rejected.rejection.is_unresolved() => {
                DeadLetterClass::Unresolved
            }
            Self::BehindUnresolved => DeadLetterClass::Unresolved,
            Self::Rejected(_) | Self::EventIdReused | Self::EventDiscarded | Self::Internal(_) => {
                DeadLetterClass::Rejected
            }
        }
    }

    /// Returns whether the event waits until its user is enabled, however often it was tried.
    pub(crate) fn is_user_disabled(&self) -> bool {
        self.rejection() == Some(Rejection::UserDisabled)
    }

    /// Returns the stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Malformed(malformed) => malformed.kind.code(),
            Self::Rejected(rejected) => rejected.rejection.code(),
            Self::EventIdReused => Self::EVENT_ID_REUSED,
            Self::EventDiscarded => "EVENT_DISCARDED",
            Self::BehindUnresolved => Self::BEHIND_UNRESOLVED,
            Self::Internal(_) => Self::INTERNAL,
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed(malformed) => return malformed.fmt(f),
            Self::Rejected(rejected) => return rejected.fmt(f),
            Self::EventIdReused => "an earlier event with other content has the same id",
            Self::EventDiscarded => {
                "another dead letter of this event was discarded, so it stays out of the books"
            }
            Self::BehindUnresolved => {
                "an earlier event that names one of its sub-accounts waits for a retry"
            }
            Self::Internal(why) => why,
        })
    }
}
