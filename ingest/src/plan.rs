//! The work that each message of a batch requests.

use crate::stream::Message;
use chrono::{DateTime, Utc};
use std::sync::OnceLock;
use tiris_domain::event::{BareSubjects, Subject};
use tiris_domain::lane::EventStream;
use tiris_store::ledger::{Entry, Origin, Work};
use uuid::Uuid;

/// The weight of a message without bytes: each costs about as much as a kilobyte of its text.
const MESSAGE_WEIGHT: u64 = 1024;

/// A message and the work it requests.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    /// The message as stored in the stream.
    pub(crate) message: Message,
    /// The user in the subject, in canonical form.
    pub(crate) publisher: Option<Uuid>,
    stream: EventStream,
    bare: BareSubjects,
    work: OnceLock<Work>,
}

impl Item {
    /// Returns a message of `stream` that is parsed when its work is needed: the lane may pass over it.
    pub(crate) fn new(message: Message, stream: EventStream, bare: BareSubjects) -> Self {
        Self {
            publisher: publisher_of(&message.subject),
            message,
            stream,
            bare,
            work: OnceLock::new(),
        }
    }

    /// Parses a message of `stream`.
    pub(crate) fn parse(message: Message, stream: EventStream, bare: BareSubjects) -> Self {
        let item = Self::new(message, stream, bare);
        item.work();
        item
    }

    /// Returns a ledger entry, a heartbeat, or a malformed event.
    pub(crate) fn work(&self) -> &Work {
        self.work.get_or_init(|| {
            let message = &self.message;
            let origin = Origin {
                stream: self.stream,
                stream_seq: message.stream_seq,
                broker_time: Some(DateTime::<Utc>::from_timestamp_nanos(message.broker_time)),
            };
            Work::parse(&message.subject, &message.payload, self.bare, &origin)
        })
    }

    /// Returns its share of the work of a transaction: the cost of any message, plus its bytes.
    pub(crate) fn weight(&self) -> u64 {
        let bytes = u64::try_from(self.message.bytes()).unwrap_or(u64::MAX);
        bytes.saturating_add(MESSAGE_WEIGHT)
    }

    /// Returns the user whose ledger entry or dead letter the message becomes, if it is known.
    pub(crate) fn user(&self) -> Option<Uuid> {
        match self.work() {
            Work::Entry(entry) => Some(entry.user.0),
            Work::Malformed(malformed) => malformed.user_id,
            Work::Heartbeat(_) => None,
        }
    }
}

impl AsRef<Work> for Item {
    fn as_ref(&self) -> &Work {
        self.work()
    }
}

/// Returns the user that a subject names in canonical form; all messages of the user in a lane have it.
pub(crate) fn publisher_of(subject: &str) -> Option<Uuid> {
    let token = Subject::parse(subject)?.user?;
    let user = Uuid::try_parse(&token).ok()?;
    (user.hyphenated().to_string() == token).then_some(user)
}

/// Parses messages of `stream`, in their order.
pub(crate) fn plan(messages: Vec<Message>, stream: EventStream, bare: BareSubjects) -> Vec<Item> {
    let parse = |message| Item::parse(message, stream, bare);
    messages.into_iter().map(parse).collect()
}

/// Returns the ledger entries among `items`.
pub(crate) fn entries<'a>(
    items: impl IntoIterator<Item = &'a Item>,
) -> impl Iterator<Item = &'a Entry> {
    items.into_iter().filter_map(|item| item.work().entry())
}
