//! From the bytes of a message to an [`Event`], or the reason why not.

mod balance;
mod object;
mod order;
mod parsed;
mod report;

use super::body::Event;
use super::malformed::{EVENT_BYTES_MAX, Malformed, MalformedKind};
use super::subject::Subject;
use crate::json::{self, JsonError};
use crate::states::BareSubjects;
use crate::value::{EventId, Value};
use serde_json::{Map, Value as Json};
use uuid::Uuid;

/// Characters of an unknown subject that are shown back.
const SUBJECT_CHARS_MAX: usize = 256;

/// Parses a message as the stream delivers it.
pub fn parse(subject: &str, payload: &[u8], bare: BareSubjects) -> Result<Event, Box<Malformed>> {
    let parsed_subject = Subject::parse(subject);
    let mut names = Names::of_subject(parsed_subject.as_ref());

    let parsed = document(payload).and_then(|object| {
        names.read(&object);
        let subject = parsed_subject.ok_or_else(|| unknown(subject))?;
        let event = object::parse(subject.kind, object)?;
        check_user(&subject, &event, bare)?;
        Ok(event)
    });

    parsed.map_err(|kind| {
        Box::new(Malformed {
            kind,
            event_id: names.event_id,
            user_id: names.user_id,
            trading_id: names.trading_id,
        })
    })
}

/// What could be read before something went wrong.
struct Names {
    event_id: Option<EventId>,
    user_id: Option<Uuid>,
    trading_id: Option<Uuid>,
}

impl Names {
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

/// The object in a payload, when it may be stored.
fn document(payload: &[u8]) -> Result<Map<String, Json>, MalformedKind> {
    if payload.len() > EVENT_BYTES_MAX {
        return Err(MalformedKind::TooLarge(payload.len()));
    }
    let object = serde_json::from_slice::<Map<String, Json>>(payload);

    // What is not even JSON is reported as such, also when it breaks a rule of ours on top.
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
