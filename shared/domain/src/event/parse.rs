//! Parses the bytes of a message as an [`Event`].

mod balance;
mod object;
mod order;
mod report;

use super::body::Event;
use super::kind::Subject;
use super::malformed::{EVENT_BYTES_MAX, Malformed, MalformedKind};
use crate::json::{self, JsonError};
use crate::states::BareSubjects;
use crate::value::{EventId, Value};
use serde_json::{Map, Value as Json};
use uuid::Uuid;

/// Longest excerpt of an unknown subject in an error, in characters.
const SUBJECT_CHARS_MAX: usize = 256;

/// Parses a message of the stream.
pub fn parse(subject: &str, payload: &[u8], bare: BareSubjects) -> Result<Event, Box<Malformed>> {
    let parsed_subject = Subject::parse(subject);
    let mut identity = Identity::of_subject(parsed_subject.as_ref());

    let parsed = document(payload).and_then(|object| {
        identity.read(&object);
        let subject = parsed_subject.ok_or_else(|| unknown(subject))?;
        let event = object::parse(subject.kind, object)?;
        check_user(&subject, &event, bare)?;
        Ok(event)
    });

    parsed.map_err(|kind| {
        Box::new(Malformed {
            kind,
            event_id: identity.event_id,
            user_id: identity.user_id,
            trading_id: identity.trading_id,
        })
    })
}

/// The fields that identify a malformed message.
struct Identity {
    event_id: Option<EventId>,
    user_id: Option<Uuid>,
    trading_id: Option<Uuid>,
}

impl Identity {
    fn of_subject(subject: Option<&Subject>) -> Self {
        let user = subject.and_then(|subject| subject.user.as_deref());

        Self {
            event_id: None,
            user_id: user.and_then(|user| Uuid::try_parse(user).ok()),
            trading_id: None,
        }
    }

    fn read(&mut self, object: &Map<String, Json>) {
        let text = |name| object.get(name).and_then(Json::as_str);
        let id = |name| text(name).and_then(|id| Uuid::try_parse(id).ok());

        self.event_id = text("event_id").and_then(|id| EventId::from_json(id.into()).ok());
        self.user_id = id("user_id").or(self.user_id);
        self.trading_id = id("trading_id");
    }
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
