//! Trading logs: the removal of one that moved no money. All others are part of the books.

use crate::error::{Conflict, Error, Result};
use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgConnection;
use tiris_domain::ids::{LogId, time_of};
use uuid::Uuid;

/// A trading log that was deleted.
#[derive(Clone, Debug, PartialEq, sqlx::FromRow)]
pub struct DeletedLog {
    /// When it was recorded.
    pub timestamp: DateTime<Utc>,
    /// How many transactions it made.
    pub postings: i16,
    /// The owner.
    pub user_id: Uuid,
    /// The trading it was about.
    pub trading_id: Uuid,
    /// What it recorded.
    pub r#type: String,
    /// Who wrote it.
    pub source: String,
    /// The event it came from.
    pub event_id: Option<String>,
    /// The order it was about.
    pub order_id: Option<String>,
    /// What it said.
    pub message: String,
    /// Free JSON.
    pub info: Value,
}

/// Deletes a trading log that moved no money, whoever owns it.
///
/// # Errors
/// [`Error::NotFound`], and [`Conflict::LogMovedMoney`] for a log that is part of the books.
pub async fn delete(connection: &mut PgConnection, id: LogId) -> Result<DeletedLog> {
    let missing = || Error::NotFound("trading log");
    // The time in the id says in which partition the log is.
    let from = time_of(id.0).ok_or_else(missing)?;
    let log: Option<DeletedLog> = sqlx::query_as(
        "SELECT timestamp, postings, user_id, trading_id, type, source, event_id, order_id, message, info \
         FROM trading_logs WHERE id = $1 AND timestamp >= $2 AND timestamp < $2 + interval '1 millisecond'",
    )
    .bind(id.0)
    .bind(from)
    .fetch_optional(&mut *connection)
    .await?;
    let log = log.ok_or_else(missing)?;
    if log.postings > 0 {
        return Err(Error::Conflict(Conflict::LogMovedMoney));
    }

    // Rows are never changed, so one that is still there to be deleted is the one that was read.
    let gone = sqlx::query("DELETE FROM trading_logs WHERE id = $1 AND timestamp = $2")
        .bind(id.0)
        .bind(log.timestamp)
        .execute(connection)
        .await?;
    if gone.rows_affected() == 0 {
        return Err(missing());
    }
    Ok(log)
}
