//! The work that each message of a batch requests.

use crate::stream::Message;
use chrono::{DateTime, Utc};
use tiris_domain::event::BareSubjects;
use tiris_domain::lane::EventStream;
use tiris_store::ledger::{Entry, Origin, Work};
use uuid::Uuid;

/// A message and the work it requests.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    /// The message as stored in the stream.
    pub(crate) message: Message,
    /// A ledger entry, a heartbeat, or a malformed event.
    pub(crate) work: Work,
}

impl Item {
    /// Parses a message of `stream`.
    pub(crate) fn parse(message: Message, stream: EventStream, bare: BareSubjects) -> Self {
        let origin = Origin {
            stream,
            stream_seq: message.stream_seq,
            broker_time: Some(DateTime::<Utc>::from_timestamp_nanos(message.broker_time)),
        };
        let work = Work::parse(&message.subject, &message.payload, bare, &origin);

        Self { message, work }
    }

    /// Returns the user whose ledger entry or dead letter the message becomes, if it is known.
    pub(crate) fn user(&self) -> Option<Uuid> {
        match &self.work {
            Work::Entry(entry) => Some(entry.user.0),
            Work::Malformed(malformed) => malformed.user_id,
            Work::Heartbeat(_) => None,
        }
    }
}

impl AsRef<Work> for Item {
    fn as_ref(&self) -> &Work {
        &self.work
    }
}

/// Parses messages of `stream`, in their order.
pub(crate) fn plan(messages: Vec<Message>, stream: EventStream, bare: BareSubjects) -> Vec<Item> {
    let parse = |message| Item::parse(message, stream, bare);
    messages.into_iter().map(parse).collect()
}

/// Returns the ledger entries among `items`.
pub(crate) fn entries(items: &[Item]) -> impl Iterator<Item = &Entry> {
    items.iter().filter_map(|item| item.work.entry())
}
