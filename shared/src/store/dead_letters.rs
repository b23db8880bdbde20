//! Dead letters: messages that could not be applied, kept with their original bytes, the reason and a way on.

use crate::error::Result;
use crate::event::Malformed;
use crate::ledger::Rejection;
use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

/// What can still become of a letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// It is no event; it is never tried again by itself.
    Malformed,
    /// What it names is not there yet; it is tried again by itself.
    Unresolved,
    /// The ledger refuses it; a person decides.
    Rejected,
}

impl Class {
    /// As stored and sent.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Unresolved => "unresolved",
            Self::Rejected => "rejected",
        }
    }
}

/// Why a message is put aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// What can still become of it.
    pub class: Class,
    /// Stable code.
    pub code: &'static str,
    /// In words.
    pub reason: String,
}

impl From<Rejection> for Cause {
    fn from(rejection: Rejection) -> Self {
        let class = if rejection.is_unresolved() { Class::Unresolved } else { Class::Rejected };
        Self { class, code: rejection.code(), reason: rejection.to_string() }
    }
}

impl From<&Malformed> for Cause {
    fn from(malformed: &Malformed) -> Self {
        Self { class: Class::Malformed, code: malformed.kind.code(), reason: malformed.to_string() }
    }
}

impl Cause {
    /// The event id was used before, with other content.
    #[must_use]
    pub fn event_id_reused() -> Self {
        let reason = "the event id was used before with other content".to_owned();
        Self { class: Class::Rejected, code: "EVENT_ID_REUSED", reason }
    }

    /// Applying it failed for a reason nobody foresaw.
    #[must_use]
    pub fn internal(error: &dyn std::error::Error) -> Self {
        let mut reason = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            reason = format!("{reason}: {cause}");
            source = cause.source();
        }
        Self { class: Class::Rejected, code: "INTERNAL", reason }
    }
}

/// A message to put aside.
#[derive(Clone, Debug)]
pub struct NewLetter {
    /// The stream it came by.
    pub stream: String,
    /// The lane there.
    pub lane: i32,
    /// Creation time of the stream, nanoseconds since 1970.
    pub stream_created_at: i64,
    /// Its number in the stream.
    pub stream_seq: i64,
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
    /// Why.
    pub cause: Cause,
}

/// Writes the letters; a letter of the same message and bytes that is there already stays as it is.
pub async fn insert(connection: &mut PgConnection, letters: &[NewLetter]) -> Result<()> {
    if letters.is_empty() {
        return Ok(());
    }
    // Unresolved letters are first tried again after a second.
    sqlx::query(
        "INSERT INTO dead_letters (id, stream, lane, stream_created_at, stream_seq, subject, payload, headers, \
         broker_time, event_id, user_id, trading_id, class, code, reason, next_attempt_at) \
         SELECT *, CASE WHEN class = 'unresolved' AND code <> 'USER_DISABLED' \
                        THEN clock_timestamp() + interval '1 second' END \
         FROM UNNEST($1::uuid[], $2::text[], $3::int[], $4::bigint[], $5::bigint[], $6::text[], $7::bytea[], \
         $8::jsonb[], $9::timestamptz[], $10::text[], $11::uuid[], $12::uuid[], $13::text[], $14::text[], $15::text[]) \
         AS new (id, stream, lane, stream_created_at, stream_seq, subject, payload, headers, broker_time, event_id, \
         user_id, trading_id, class, code, reason) \
         ON CONFLICT ON CONSTRAINT dead_letters_once DO NOTHING",
    )
    .bind(letters.iter().map(|_| crate::ids::new_id()).collect::<Vec<_>>())
    .bind(letters.iter().map(|letter| letter.stream.as_str()).collect::<Vec<_>>())
    .bind(letters.iter().map(|letter| letter.lane).collect::<Vec<_>>())
    .bind(letters.iter().map(|letter| letter.stream_created_at).collect::<Vec<_>>())
    .bind(letters.iter().map(|letter| letter.stream_seq).collect::<Vec<_>>())
    .bind(letters.iter().map(|letter| letter.subject.as_str()).collect::<Vec<_>>())
    .bind(letters.iter().map(|letter| letter.payload.as_slice()).collect::<Vec<_>>())
    .bind(letters.iter().map(|letter| letter.headers.clone()).collect::<Vec<_>>())
    .bind(letters.iter().map(|letter| letter.broker_time).collect::<Vec<_>>())
    .bind(letters.iter().map(|letter| letter.event_id.as_deref()).collect::<Vec<_>>())
    .bind(letters.iter().map(|letter| letter.user_id).collect::<Vec<_>>())
    .bind(letters.iter().map(|letter| letter.trading_id).collect::<Vec<_>>())
    .bind(letters.iter().map(|letter| letter.cause.class.as_str()).collect::<Vec<_>>())
    .bind(letters.iter().map(|letter| letter.cause.code).collect::<Vec<_>>())
    .bind(letters.iter().map(|letter| letter.cause.reason.as_str()).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(())
}
