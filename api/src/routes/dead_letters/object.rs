//! The dead letter in responses.

use crate::routes::prelude::*;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tiris_domain::states::{DeadLetterClass, DeadLetterStatus};
use tiris_store::dead_letters::Actor;
use tiris_store::entity::dead_letters::Model;
use tiris_store::ledger::Cause;

/// Longest payload in a list, in bytes.
const LISTED_BYTES_MAX: usize = 8 * 1024;

/// An event that could not be applied, as it was received, with the reason.
#[derive(Object, Serialize)]
pub(in crate::routes) struct DeadLetter {
    /// Id of the dead letter
    id: Uuid,
    /// Stream of the message: `TRADING` or `TRADING_SYSTEM`
    stream: String,
    /// Number of the lane that processed the message
    lane: i32,
    /// When the stream was created, to the nanosecond; with `stream_seq` it identifies the message permanently
    stream_created_at: DateTime<Utc>,
    /// Sequence of the message in the stream
    stream_seq: i64,
    /// Subject of the message in the stream
    subject: String,
    /// Payload as text; null if it is not valid UTF-8 or left out
    #[oai(nullable)]
    payload: Option<String>,
    /// Payload in base64; null if it is valid UTF-8 or left out
    #[oai(nullable)]
    payload_base64: Option<String>,
    /// Whether the payload is left out because it has more than 8 KiB; only in lists
    payload_omitted: bool,
    /// Headers of the message, each name with a list of values
    headers: Field<Info>,
    /// When the broker received the message
    #[oai(nullable)]
    broker_time: Option<DateTime<Utc>>,
    /// Id of the event, if it has a valid one
    #[oai(nullable)]
    event_id: Option<String>,
    /// Id of the user who published the event, by its subject; null for a subject without a user, unless the event is valid
    /// and such subjects are accepted: then the one in the payload
    #[oai(nullable)]
    user_id: Option<Uuid>,
    /// Id of the trading the event belongs to, as far as known
    #[oai(nullable)]
    trading_id: Option<Uuid>,
    /// `malformed`: not a valid event; `unresolved`: names something that does not exist yet and is retried three times;
    /// `rejected`: the ledger refuses it
    class: Field<DeadLetterClass>,
    /// Stable code of the failure, such as `INSUFFICIENT_BALANCE`
    code: String,
    /// Reason of the failure
    reason: String,
    /// Automatic retries so far
    attempts: i32,
    /// Time of the next automatic retry; null if it needs a person or queues behind another dead letter
    #[oai(nullable)]
    next_attempt_at: Option<DateTime<Utc>>,
    /// `open` until it is replayed or discarded
    status: Field<DeadLetterStatus>,
    /// When a copy was published to the stream `TRADING_DLQ`
    #[oai(nullable)]
    published_at: Option<DateTime<Utc>>,
    /// `resolution`: who closed it, when, and why it was discarded; users see only how they closed their own
    info: Field<Info>,
    /// When the event failed first
    created_at: DateTime<Utc>,
    /// When the dead letter last changed
    updated_at: DateTime<Utc>,
    /// When it was replayed or discarded; it is removed 400 days later by default
    #[oai(nullable)]
    closed_at: Option<DateTime<Utc>>,
}

impl DeadLetter {
    /// Returns the whole dead letter. Only admins see the details of an internal error, and how others closed it.
    pub(in crate::routes) fn from_row(row: Model, is_admin: bool) -> Result<Self> {
        let (payload, payload_base64) = match String::from_utf8(row.payload) {
            Ok(text) => (Some(text), None),
            Err(error) => (None, Some(STANDARD.encode(error.as_bytes()))),
        };

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
            reason: shown_reason(&row.code, row.reason, is_admin),
            code: row.code,
            attempts: row.attempts,
            next_attempt_at: row.next_attempt_at,
            status: Field(column::state(&row.status)?),
            published_at: row.published_at,
            info: Field(shown_info(row.info, is_admin)),
            created_at: row.created_at,
            updated_at: row.updated_at,
            closed_at: row.closed_at,
        })
    }

    /// Returns the dead letter in a list, without a long payload.
    pub(in crate::routes) fn of_list(row: Model, is_admin: bool) -> Result<Self> {
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

/// Returns the info as the caller may see it: users see how they have closed their own dead letter.
fn shown_info(info: Value, is_admin: bool) -> Info {
    if is_admin || Actor::is_owner(&info["resolution"]["by"]) {
        Info::from_column(info)
    } else {
        Info::default()
    }
}

/// Returns the reason as the caller may see it: only admins see the details of an internal error.
pub(in crate::routes) fn shown_reason(code: &str, reason: String, is_admin: bool) -> String {
    if code == Cause::INTERNAL && !is_admin {
        "an internal error".to_owned()
    } else {
        reason
    }
}
