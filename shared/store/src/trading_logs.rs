//! Deletes trading logs that moved no money. All others are part of the books.

use crate::entity::trading_logs::Model;
use crate::error::{Conflict, Error, Result};
use sqlx::PgConnection;
use tiris_domain::ids::{LogId, time_of};

/// Deletes a trading log of any user that moved no money, and returns it.
///
/// # Errors
/// [`Error::NotFound`], and [`Conflict::LogMovedMoney`] for a log that is part of the books.
pub async fn delete(connection: &mut PgConnection, id: LogId) -> Result<Model> {
    let missing = || Error::NotFound("trading log");
    // The time in the id says in which partition the log is.
    let from = time_of(id.0).ok_or_else(missing)?;
    let log: Option<Model> = sqlx::query_as(
        "SELECT id, timestamp, user_id, trading_id, sub_account_id, transaction_id, postings, event_time, type, source, \
         order_id, event_id, message, drift, info, created_at \
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

    // Rows never change, so one that still exists is the one that was read.
    let is_gone: bool = sqlx::query_scalar("SELECT delete_trading_log($1, $2)")
        .bind(id.0)
        .bind(log.timestamp)
        .fetch_one(connection)
        .await?;
    match is_gone {
        true => Ok(log),
        false => Err(missing()),
    }
}
