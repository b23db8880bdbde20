//! Reads letters for people.

use super::filter::Filter;
use crate::error::{Error, Result};
use crate::lanes::columns::KeyColumns;
use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{PgConnection, QueryBuilder};
use tiris_domain::lane::LaneKey;
use tiris_domain::states::{DeadLetterClass, DeadLetterStatus};
use uuid::Uuid;

/// A letter as it is kept.
#[derive(Clone, Debug, PartialEq, sqlx::FromRow)]
pub struct Letter {
    /// Its id.
    pub id: Uuid,
    /// The lane it came by.
    #[sqlx(flatten, try_from = "KeyColumns")]
    pub key: LaneKey,
    /// Its number in the stream.
    #[sqlx(try_from = "i64")]
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
    #[sqlx(try_from = "String")]
    pub class: DeadLetterClass,
    /// Stable code.
    pub code: String,
    /// In words.
    pub reason: String,
    /// Automatic tries after the first.
    pub attempts: i32,
    /// When it is tried again by itself.
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// Whether it still waits for a decision.
    #[sqlx(try_from = "String")]
    pub status: DeadLetterStatus,
    /// Whether later events of its trading wait behind it.
    pub blocks: bool,
    /// When it was published to the dead letter stream.
    pub published_at: Option<DateTime<Utc>>,
    /// Who closed it, when and why, under `resolution`.
    pub info: Value,
    /// When it was put aside.
    pub created_at: DateTime<Utc>,
}

pub(super) const COLUMNS: &str = "SELECT id, stream, lane, stream_seq, subject, payload, headers, broker_time, event_id, user_id, \
    trading_id, class, code, reason, attempts, next_attempt_at, status, blocks, published_at, info, created_at \
    FROM dead_letters";

/// The newest letters `filter` selects, at most `limit`.
pub async fn list(
    connection: &mut PgConnection,
    filter: &Filter,
    limit: u32,
) -> Result<Vec<Letter>> {
    let mut query = QueryBuilder::new(COLUMNS);
    filter.push_to(&mut query);
    query
        .push(" ORDER BY created_at DESC, id DESC LIMIT ")
        .push_bind(i64::from(limit));
    Ok(query.build_query_as().fetch_all(connection).await?)
}

/// One letter.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn get(connection: &mut PgConnection, id: Uuid) -> Result<Letter> {
    let mut query = QueryBuilder::new(COLUMNS);
    query.push(" WHERE id = ").push_bind(id);
    let letter = query.build_query_as().fetch_optional(connection).await?;
    letter.ok_or(Error::NotFound("dead letter"))
}
