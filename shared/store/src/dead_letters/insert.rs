//! Puts messages aside.

use super::retry::RETRY_WAITS;
use crate::error::Result;
use crate::lanes::columns;
use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgConnection;
use tiris_domain::lane::LaneKey;
use tiris_domain::states::DeadLetterClass;
use uuid::Uuid;

/// A message to put aside.
#[derive(Clone, Debug)]
pub struct NewLetter {
    /// The lane it came by.
    pub key: LaneKey,
    /// Creation time of the stream, nanoseconds since 1970.
    pub stream_created_at: i64,
    /// Its number in the stream.
    pub stream_seq: u64,
    /// Its subject as the stream keeps it.
    pub subject: String,
    /// Its bytes.
    pub payload: Vec<u8>,
    /// Its headers, `{name: [values]}`.
    pub headers: Value,
    /// When the broker took it.
    pub broker_time: Option<DateTime<Utc>>,
    /// Its event id, when it has a valid one.
    pub event_id: Option<String>,
    /// Its user, as far as known.
    pub user_id: Option<Uuid>,
    /// Its trading, as far as known.
    pub trading_id: Option<Uuid>,
    /// What can still become of it.
    pub class: DeadLetterClass,
    /// Why it is put aside, as a stable code.
    pub code: &'static str,
    /// Why, in words.
    pub reason: String,
}

/// Writes the letters; a letter of the same message and bytes that is there already stays as it is.
pub async fn insert(connection: &mut PgConnection, letters: &[NewLetter]) -> Result<()> {
    if letters.is_empty() {
        return Ok(());
    }
    let (streams, lanes) = columns::of_keys(letters.iter().map(|letter| &letter.key));
    let sequences = columns::sequences(letters.iter().map(|letter| letter.stream_seq))?;

    sqlx::query(
        "INSERT INTO dead_letters (id, stream, lane, stream_created_at, stream_seq, subject, payload, headers, \
         broker_time, event_id, user_id, trading_id, class, code, reason, next_attempt_at) \
         SELECT id, stream, lane, stream_created_at, stream_seq, subject, payload, headers, broker_time, event_id, user_id, \
         trading_id, class, code, reason, CASE WHEN class = 'unresolved' AND code NOT IN ('USER_DISABLED', 'BEHIND_UNRESOLVED') \
                        THEN clock_timestamp() + $16 END \
         FROM UNNEST($1::uuid[], $2::text[], $3::int[], $4::bigint[], $5::bigint[], $6::text[], $7::bytea[], \
         $8::jsonb[], $9::timestamptz[], $10::text[], $11::uuid[], $12::uuid[], $13::text[], $14::text[], $15::text[]) \
         AS new (id, stream, lane, stream_created_at, stream_seq, subject, payload, headers, broker_time, event_id, \
         user_id, trading_id, class, code, reason) \
         ON CONFLICT ON CONSTRAINT dead_letters_once DO NOTHING",
    )
    .bind(letters.iter().map(|_| tiris_domain::ids::new_id()).collect::<Vec<_>>())
    .bind(streams)
    .bind(lanes)
    .bind(letters.iter().map(|letter| letter.stream_created_at).collect::<Vec<_>>())
    .bind(sequences)
    .bind(letters.iter().map(|letter| letter.subject.as_str()).collect::<Vec<_>>())
    .bind(letters.iter().map(|letter| letter.payload.as_slice()).collect::<Vec<_>>())
    .bind(letters.iter().map(|letter| letter.headers.clone()).collect::<Vec<_>>())
    .bind(letters.iter().map(|letter| letter.broker_time).collect::<Vec<_>>())
    .bind(letters.iter().map(|letter| letter.event_id.as_deref()).collect::<Vec<_>>())
    .bind(letters.iter().map(|letter| letter.user_id).collect::<Vec<_>>())
    .bind(letters.iter().map(|letter| letter.trading_id).collect::<Vec<_>>())
    .bind(letters.iter().map(|letter| letter.class.as_str()).collect::<Vec<_>>())
    .bind(letters.iter().map(|letter| letter.code).collect::<Vec<_>>())
    .bind(letters.iter().map(|letter| letter.reason.as_str()).collect::<Vec<_>>())
    .bind(RETRY_WAITS[0])
    .execute(connection)
    .await?;

    Ok(())
}
