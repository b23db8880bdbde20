//! A dead letter as answers show it.

use crate::http::field::Field;
use crate::http::page::Pagination;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use poem_openapi::Object;
use serde::Serialize;
use tiris_domain::states::{DeadLetterClass, DeadLetterStatus};
use tiris_domain::value::Info;
use tiris_store::column;
use tiris_store::entity::dead_letters::Model;
use tiris_store::error::Result;
use uuid::Uuid;

/// Longest payload a list shows, in bytes.
const LISTED_BYTES_MAX: usize = 8 * 1024;

/// An event that could not be applied, as it came, with the reason.
#[derive(Object, Serialize)]
pub(super) struct DeadLetter {
    id: Uuid,
    /// `TRADING` or `TRADING_SYSTEM`
    stream: String,
    /// The lane it came by
    lane: i32,
    /// When the stream was made, to the nanosecond: with `stream_seq` it names the message for ever
    stream_created_at: DateTime<Utc>,
    /// Its number in the stream
    stream_seq: i64,
    /// Its subject as the stream keeps it
    subject: String,
    /// Its bytes; null when they are no text, or left out
    #[oai(nullable)]
    payload: Option<String>,
    /// Its bytes in base64, when they are no text
    #[oai(nullable)]
    payload_base64: Option<String>,
    /// Whether the bytes are left out: a list shows at most 8 KiB of each letter; the letter by its id has all
    payload_omitted: bool,
    /// Its headers, each name with its values
    headers: Field<Info>,
    /// When the broker took it
    #[oai(nullable)]
    broker_time: Option<DateTime<Utc>>,
    /// Its event id, when it has a valid one
    #[oai(nullable)]
    event_id: Option<String>,
    /// Whom it concerns, as far as known
    #[oai(nullable)]
    user_id: Option<Uuid>,
    /// Which trading it concerns, as far as known
    #[oai(nullable)]
    trading_id: Option<Uuid>,
    class: Field<DeadLetterClass>,
    /// Stable code, such as `INSUFFICIENT_BALANCE`
    code: String,
    /// The reason in words
    reason: String,
    /// Automatic tries after the first
    attempts: i32,
    /// When it is tried again by itself; null when it waits for a person, or for what it waits behind
    #[oai(nullable)]
    next_attempt_at: Option<DateTime<Utc>>,
    status: Field<DeadLetterStatus>,
    /// When a copy was published to the stream `TRADING_DLQ`
    #[oai(nullable)]
    published_at: Option<DateTime<Utc>>,
    /// Under `resolution`: who closed it, when and why; for admins only
    info: Field<Info>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl DeadLetter {
    /// The whole letter. Only an admin sees why it failed for a reason nobody foresaw, and who closed it.
    pub(super) fn from_row(row: Model, is_admin: bool) -> Result<Self> {
        let (payload, payload_base64) = match String::from_utf8(row.payload) {
            Ok(text) => (Some(text), None),
            Err(error) => (None, Some(STANDARD.encode(error.as_bytes()))),
        };
        let is_inner = row.code == "INTERNAL" && !is_admin;

        Ok(Self {
            id: row.id,
            stream: row.stream,
            lane: row.lane,
            stream_created_at: DateTime::from_timestamp_nanos(row.stream_created_at),
            stream_seq: row.stream_seq,
            subject: row.subject,
            payload,
            payload_base64,
            payload_omitted: false,
            headers: Field(Info::from_column(row.headers)),
            broker_time: row.broker_time,
            event_id: row.event_id,
            user_id: row.user_id,
            trading_id: row.trading_id,
            class: Field(column::state(&row.class)?),
            code: row.code,
            reason: if is_inner {
                "it failed for an inner reason".to_owned()
            } else {
                row.reason
            },
            attempts: row.attempts,
            next_attempt_at: row.next_attempt_at,
            status: Field(column::state(&row.status)?),
            published_at: row.published_at,
            info: Field(if is_admin {
                Info::from_column(row.info)
            } else {
                Info::default()
            }),
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }

    /// As a list shows it.
    pub(super) fn of_list(row: Model, is_admin: bool) -> Result<Self> {
        let is_long = row.payload.len() > LISTED_BYTES_MAX;
        let mut letter = Self::from_row(row, is_admin)?;
        if is_long {
            letter.payload = None;
            letter.payload_base64 = None;
            letter.payload_omitted = true;
        }
        Ok(letter)
    }
}

/// A page of letters, newest first.
#[derive(Object, Serialize)]
pub(super) struct DeadLetterPage {
    pub(super) dead_letters: Vec<DeadLetter>,
    pub(super) pagination: Pagination,
}
