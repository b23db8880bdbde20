//! The dead letters of a batch.

use crate::plan::Item;
use crate::stream::Message;
use chrono::DateTime;
use serde_json::{Map, Value};
use tiris_domain::lane::LaneKey;
use tiris_store::dead_letters::NewLetter;
use tiris_store::ledger::{Cause, Disposition};

/// The dead letters among `items` of a lane, by their dispositions, in stream order.
#[must_use]
pub fn letters(
    items: &[Item],
    dispositions: &[Disposition],
    key: LaneKey,
    stream_created_at: i64,
) -> Vec<NewLetter> {
    let dead = items.iter().zip(dispositions);
    dead.filter_map(|(item, disposition)| {
        let cause = disposition.cause()?;
        Some(letter(item, cause, key, stream_created_at))
    })
    .collect()
}

fn letter(item: &Item, cause: &Cause, key: LaneKey, stream_created_at: i64) -> NewLetter {
    let message = &item.message;
    let names = item.work.names();

    NewLetter {
        key,
        stream_created_at,
        stream_seq: message.stream_seq,
        subject: storable(&message.subject),
        payload: message.payload.to_vec(),
        headers: headers(message),
        broker_time: Some(DateTime::from_timestamp_nanos(message.broker_time)),
        event_id: names.event_id,
        user_id: names.user_id,
        trading_id: names.trading_id,
        class: cause.class(),
        code: cause.code(),
        reason: storable(&cause.to_string()),
    }
}

fn headers(message: &Message) -> Value {
    let value = |value: &String| Value::String(storable(value));
    let all = message.headers.iter().map(|(name, values)| {
        let values = values.iter().map(value).collect();
        (storable(name), Value::Array(values))
    });

    Value::Object(all.collect::<Map<_, _>>())
}

/// PostgreSQL keeps no U+0000 in a text.
fn storable(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}
