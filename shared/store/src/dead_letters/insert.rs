//! Stores messages as dead letters.

use super::retry::RETRY_WAITS;
use crate::column::values;
use crate::error::Result;
use crate::lanes::columns;
use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgConnection;
use sqlx::types::Json;
use tiris_domain::ids::new_id;
use tiris_domain::lane::LaneKey;
use tiris_domain::states::DeadLetterClass;
use uuid::Uuid;

/// A dead letter to insert.
#[derive(Clone, Debug)]
pub struct NewLetter {
    /// The lane that delivered the message.
    pub key: LaneKey,
    /// Creation time of the stream, nanoseconds since 1970.
    pub stream_created_at: i64,
    /// Sequence of the message in the stream.
    pub stream_seq: u64,
    /// Subject of the message.
    pub subject: String,
    /// Original bytes of the message.
    pub payload: Vec<u8>,
    /// Headers of the message, `{name: [values]}`.
    pub headers: Value,
    /// Time at which the broker stored the message.
    pub broker_time: Option<DateTime<Utc>>,
    /// Event id, if valid.
    pub event_id: Option<String>,
    /// User of the event, if known.
    pub user_id: Option<Uuid>,
    /// Trading of the event, if known.
    pub trading_id: Option<Uuid>,
    /// Sub-accounts that the event names, if it is one: later events that name one of them wait while it is retried.
    pub accounts: Option<Vec<Uuid>>,
    /// The class, which says whether the dead letter is retried.
    pub class: DeadLetterClass,
    /// Stable code of the cause.
    pub code: &'static str,
    /// Description of the cause.
    pub reason: String,
}

/// Inserts dead letters, except for those of messages that have one with the same bytes.
pub async fn insert(connection: &mut PgConnection, letters: &[NewLetter]) -> Result<()> {
    if letters.is_empty() {
        return Ok(());
    }
    let (streams, lanes) = columns::of_keys(letters.iter().map(|letter| &letter.key));
    let sequences = columns::sequences(letters.iter().map(|letter| letter.stream_seq))?;

    sqlx::query(
        "INSERT INTO dead_letters (id, stream, lane, stream_created_at, stream_seq, subject, payload, headers, \
         broker_time, event_id, user_id, trading_id, class, code, reason, accounts, next_attempt_at) \
         SELECT id, stream, lane, stream_created_at, stream_seq, subject, payload, headers, broker_time, event_id, \
             user_id, trading_id, class, code, reason, accounts::uuid[], \
             CASE WHEN class = 'unresolved' AND code NOT IN ('USER_DISABLED', 'BEHIND_UNRESOLVED') \
                  THEN clock_timestamp() + $17 END \
         FROM UNNEST($1::uuid[], $2::text[], $3::int[], $4::bigint[], $5::bigint[], $6::text[], $7::bytea[], \
         $8::jsonb[], $9::timestamptz[], $10::text[], $11::uuid[], $12::uuid[], $13::text[], $14::text[], $15::text[], \
         $16::text[]) AS new (id, stream, lane, stream_created_at, stream_seq, subject, payload, headers, broker_time, \
         event_id, user_id, trading_id, class, code, reason, accounts) \
         ON CONFLICT ON CONSTRAINT dead_letters_once DO NOTHING",
    )
    .bind(values(letters, |_| new_id()))
    .bind(streams)
    .bind(lanes)
    .bind(values(letters, |letter| letter.stream_created_at))
    .bind(sequences)
    .bind(values(letters, |letter| letter.subject.as_str()))
    .bind(values(letters, |letter| letter.payload.as_slice()))
    .bind(values(letters, |letter| Json(&letter.headers)))
    .bind(values(letters, |letter| letter.broker_time))
    .bind(values(letters, |letter| letter.event_id.as_deref()))
    .bind(values(letters, |letter| letter.user_id))
    .bind(values(letters, |letter| letter.trading_id))
    .bind(values(letters, |letter| letter.class.as_str()))
    .bind(values(letters, |letter| letter.code))
    .bind(values(letters, |letter| letter.reason.as_str()))
    .bind(values(letters, |letter| letter.accounts.as_deref().map(array)))
    .bind(RETRY_WAITS[0])
    .execute(connection)
    .await?;

    Ok(())
}

/// Returns the text of an array of PostgreSQL, because an array of arrays must be rectangular.
fn array(ids: &[Uuid]) -> String {
    let ids = values(ids, ToString::to_string);
    format!("{{{}}}", ids.join(","))
}
