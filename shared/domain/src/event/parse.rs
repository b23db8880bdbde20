//! Parses the bytes of a message as an [`Event`].

mod balance;
mod hints;
mod object;
mod order;
mod report;

use super::body::Event;
use super::kind::Subject;
use super::malformed::{EVENT_BYTES_MAX, Malformed, MalformedKind};
use crate::json::{self, JsonError};
use crate::states::BareSubjects;
use hints::Hints;
use serde_json::{Map, Value as Json};
use uuid::Uuid;

/// Longest excerpt of an unknown subject in an error, in characters.
const SUBJECT_CHARS_MAX: usize = 256;

/// Parses a message of the stream.
pub fn parse(subject: &str, payload: &[u8], bare: BareSubjects) -> Result<Event, Box<Malformed>> {
    let parsed_subject = Subject::parse(subject);

    let parsed = document(payload).and_then(|object| {
        let subject = parsed_subject.as_ref().ok_or_else(|| unknown(subject))?;
        let event = object::parse(subject.kind, object)?;
        check_user(subject, &event, bare)?;
        Ok(event)
    });

    parsed.map_err(|kind| {
        let hints = Hints::of(payload);
        let user_id = owner(parsed_subject.as_ref(), subject);

        Box::new(Malformed {
            kind,
            event_id: hints.event_id,
            user_id,
            trading_id: hints.trading_id,
        })
    })
}

/// Returns the user that a malformed message belongs to: its publisher, whom the subject names. The payload's claim never
/// counts, so that a bot cannot put messages into the lists of other users.
fn owner(parsed: Option<&Subject>, subject: &str) -> Option<Uuid> {
    let user = match parsed {
        Some(parsed) => parsed.user.as_deref()?,
        // The user is the last token of every subject that names one.
        None => subject.rsplit('.').next()?,
    };
    Uuid::try_parse(user).ok()
}

/// Parses the payload as an object that the database can store.
fn document(payload: &[u8]) -> Result<Map<String, Json>, MalformedKind> {
    if payload.len() > EVENT_BYTES_MAX {
        return Err(MalformedKind::TooLarge(payload.len()));
    }
    let object = serde_json::from_slice::<Map<String, Json>>(payload);

    // Invalid JSON is reported as such, even if it also breaks a rule for free JSON.
    json::check(payload).map_err(|error| match (&object, error) {
        (Err(why), JsonError::DuplicateKey(_) | JsonError::Nul | JsonError::Number(_)) => {
            MalformedKind::NotJson(why.to_string())
        }
        (_, error) => MalformedKind::InvalidJson(error),
    })?;

    object.map_err(|why| MalformedKind::NotJson(why.to_string()))
}

fn unknown(subject: &str) -> MalformedKind {
    MalformedKind::UnknownSubject(subject.chars().take(SUBJECT_CHARS_MAX).collect())
}

fn check_user(subject: &Subject, event: &Event, bare: BareSubjects) -> Result<(), MalformedKind> {
    match &subject.user {
        Some(user) if *user != event.user.to_string() => Err(MalformedKind::SubjectMismatch),
        None if bare == BareSubjects::Refuse => Err(MalformedKind::BareSubject),
        Some(_) | None => Ok(()),
    }
}
