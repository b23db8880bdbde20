//! Why a message is no event.

use crate::json::JsonError;
use crate::value::{EventId, Invalid};
use uuid::Uuid;

/// Longest payload of an event, in bytes. The stream takes twice as much, so that what is too long is seen and kept.
pub const EVENT_BYTES_MAX: usize = 64 * 1024;

/// What is wrong with a message. None of these passes by itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MalformedKind {
    /// Longer than [`EVENT_BYTES_MAX`]; carries its length in bytes.
    #[error("the payload has {0} bytes, at most {EVENT_BYTES_MAX} are allowed")]
    TooLarge(usize),
    /// Not a JSON object in UTF-8.
    #[error("the payload is not a JSON object in UTF-8: {0}")]
    NotJson(String),
    /// JSON the database would fail or explode on.
    #[error("the payload cannot be stored: {0}")]
    InvalidJson(JsonError),
    /// A required field is absent or null.
    #[error("the field {0} is missing")]
    MissingField(String),
    /// A field has the wrong type or breaks its limit.
    #[error("the field {field} {why}")]
    InvalidValue {
        /// Its name; nested names are joined by dots.
        field: String,
        /// The limit and what was given.
        why: Invalid,
    },
    /// Another major version than 1.
    #[error("version {0:?} is not supported, only 1.x is")]
    UnsupportedVersion(String),
    /// The stream carries a subject that is none of ours.
    #[error("the subject {0:?} is none of the event contract")]
    UnknownSubject(String),
    /// The user in the subject is not the payload's, or not in canonical spelling.
    #[error("the user in the subject is not the lower-case user_id of the payload")]
    SubjectMismatch,
    /// The subject names no user, which this deployment refuses.
    #[error("the subject names no user; publish to the subject followed by .<user_id>")]
    BareSubject,
}

impl MalformedKind {
    /// The stable code kept in the dead letter.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooLarge(_) => "PAYLOAD_TOO_LARGE",
            Self::NotJson(_) => "NOT_JSON",
            Self::InvalidJson(_) => "INVALID_INFO_STRUCTURE",
            Self::MissingField(_) => "MISSING_FIELD",
            Self::InvalidValue { .. } => "INVALID_VALUE",
            Self::UnsupportedVersion(_) => "UNSUPPORTED_VERSION",
            Self::UnknownSubject(_) => "UNKNOWN_SUBJECT",
            Self::SubjectMismatch => "SUBJECT_MISMATCH",
            Self::BareSubject => "BARE_SUBJECT",
        }
    }
}

/// A message that is no event, with whatever could be read of it so that it can be found again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind}")]
pub struct Malformed {
    /// What is wrong.
    pub kind: MalformedKind,
    /// The event id, when it is a valid one.
    pub event_id: Option<EventId>,
    /// The payload's user, or else the subject's.
    pub user_id: Option<Uuid>,
    /// The payload's trading.
    pub trading_id: Option<Uuid>,
}
