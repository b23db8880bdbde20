//! The reasons why a message is not a valid event.

use crate::json::JsonError;
use crate::value::{EventId, Invalid};
use uuid::Uuid;

/// Longest payload of an event, in bytes. The broker refuses most longer messages: a stream leaves room for headers beside it.
pub const EVENT_BYTES_MAX: usize = 64 * 1024;

/// The reason why a message is not a valid event. A retry cannot succeed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MalformedKind {
    /// The payload is longer than [`EVENT_BYTES_MAX`]; contains its length in bytes.
    #[error("the payload has {0} bytes; at most {EVENT_BYTES_MAX} are allowed")]
    TooLarge(usize),
    /// The payload is not a JSON object in UTF-8.
    #[error("the payload is not a JSON object in UTF-8: {0}")]
    NotJson(String),
    /// The payload is JSON that the database cannot store.
    #[error("the payload cannot be stored: {0}")]
    InvalidJson(JsonError),
    /// A required field is absent or null.
    #[error("the field {0} is missing")]
    MissingField(String),
    /// A field has the wrong type or breaks a limit.
    #[error("the field {field} {why}")]
    InvalidValue {
        /// The name of the field, with dots between nested names.
        field: String,
        /// The limit and the given value.
        why: Invalid,
    },
    /// The major version is not 1.
    #[error("version {0:?} is not supported; use 1.x")]
    UnsupportedVersion(String),
    /// The subject is not part of the event contract.
    #[error("the subject {0:?} is not part of the event contract")]
    UnknownSubject(String),
    /// The user in the subject is not the payload's, or not in canonical form.
    #[error("the user in the subject is not the lower-case user_id of the payload")]
    SubjectMismatch,
    /// The subject names no user, which this deployment rejects.
    #[error("the subject names no user; publish to the subject followed by .<user_id>")]
    BareSubject,
}

impl MalformedKind {
    /// Returns the stable code of the dead letter.
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

/// A message that is not a valid event, with the fields that identify it as far as they could be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind}")]
pub struct Malformed {
    /// The reason.
    pub kind: MalformedKind,
    /// The event id, if it is valid.
    pub event_id: Option<EventId>,
    /// The user of the subject; `None` for a subject without a user, whatever the payload claims.
    pub user_id: Option<Uuid>,
    /// The payload's trading, if it is a UUID.
    pub trading_id: Option<Uuid>,
}
