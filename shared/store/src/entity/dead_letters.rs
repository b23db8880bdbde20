//! Messages that could not be applied, with their original bytes.

use sea_orm::entity::prelude::*;

/// Row of `dead_letters`.
///
/// The generated columns `payload_hash` and `blocks` are left out: PostgreSQL computes them and refuses a value.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "dead_letters")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub stream: String,
    pub lane: i32,
    /// Nanoseconds since 1970.
    pub stream_created_at: i64,
    pub stream_seq: i64,
    pub subject: String,
    pub payload: Vec<u8>,
    #[sea_orm(column_type = "JsonBinary")]
    pub headers: Json,
    pub broker_time: Option<DateTimeUtc>,
    pub event_id: Option<String>,
    pub user_id: Option<Uuid>,
    pub trading_id: Option<Uuid>,
    /// Sub-accounts that the event names; null in rows of an earlier version.
    pub accounts: Option<Vec<Uuid>>,
    pub class: String,
    pub code: String,
    pub reason: String,
    pub attempts: i32,
    pub next_attempt_at: Option<DateTimeUtc>,
    pub status: String,
    pub published_at: Option<DateTimeUtc>,
    pub closed_at: Option<DateTimeUtc>,
    /// The transaction that inserted it.
    pub opened_by: Option<i64>,
    /// The transaction that closed it.
    pub closed_by: Option<i64>,
    #[sea_orm(column_type = "JsonBinary")]
    pub info: Json,
    pub created_at: DateTimeUtc,
    pub updated_at: DateTimeUtc,
}

without_relations!();
