//! The dead letters that the worker creates and publishes.

mod publish;

pub use publish::{NAME, config, publish_some};

pub(crate) use publish::run;

use crate::plan::Item;
use crate::stream::Message;
use chrono::DateTime;
use serde_json::Value;
use tiris_domain::event::Subject;
use tiris_domain::lane::LaneKey;
use tiris_store::dead_letters::NewLetter;
use tiris_store::ledger::{Cause, Disposition, Entry};
use uuid::Uuid;

/// Returns the dead letters among `items` of a lane, by their dispositions, in stream order.
pub(crate) fn dead_letters_of<'a>(
    items: impl IntoIterator<Item = &'a Item>,
    dispositions: &[Disposition],
    key: LaneKey,
    stream_created_at: i64,
) -> Vec<NewLetter> {
    let items = items.into_iter().zip(dispositions);
    let dead = items.filter_map(|(item, disposition)| Some((item, disposition.cause()?)));
    dead.map(|(item, cause)| dead_letter(item, cause, key, stream_created_at))
        .collect()
}

fn dead_letter(item: &Item, cause: &Cause, key: LaneKey, stream_created_at: i64) -> NewLetter {
    let message = &item.message;
    let names = item.work().names();

    NewLetter {
        key,
        stream_created_at,
        stream_seq: message.stream_seq,
        subject: storable(&message.subject),
        payload: message.payload.to_vec(),
        headers: headers(message),
        broker_time: Some(DateTime::from_timestamp_nanos(message.broker_time)),
        event_id: names.event_id,
        user_id: publisher(&message.subject).unwrap_or(names.user_id),
        trading_id: names.trading_id,
        accounts: item.work().entry().map(accounts),
        class: cause.class(),
        code: cause.code(),
        reason: storable(&cause.to_string()),
    }
}

/// Returns the user that the subject names: the dead letter is theirs, whatever the payload claims. None for a subject
/// without a user.
fn publisher(subject: &str) -> Option<Option<Uuid>> {
    let user = Subject::parse(subject)?.user?;
    Some(Uuid::try_parse(&user).ok())
}

fn accounts(entry: &Entry) -> Vec<Uuid> {
    entry.accounts().iter().map(|account| account.0).collect()
}

fn headers(message: &Message) -> Value {
    let headers = message.headers.iter().map(|(name, values)| {
        let values: Value = values.iter().map(|value| storable(value)).collect();
        (storable(name), values)
    });
    headers.collect()
}

/// Replaces U+0000, which PostgreSQL cannot store in a text.
fn storable(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}
