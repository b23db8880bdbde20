//! Deletes a trading log that moved no money.

use crate::auth::Admin;
use crate::ledger::Work;
use serde_json::{Value, json};
use sqlx::PgConnection;
use sqlx::types::chrono::{DateTime, Utc};
use tiris_domain::ids::time_of;
use tiris_store::audit::{self, Action};
use tiris_store::error::{Conflict, Error, Result};
use uuid::Uuid;

/// The transaction that deletes a log, whosever it is.
pub(super) struct DeleteWork<'a> {
    pub(super) admin: &'a Admin,
    pub(super) id: Uuid,
}

/// What is kept of a deleted log: all it said, for it may be all that tells of a hold.
#[derive(sqlx::FromRow)]
struct Gone {
    timestamp: DateTime<Utc>,
    postings: i16,
    user_id: Uuid,
    trading_id: Uuid,
    r#type: String,
    source: String,
    event_id: Option<String>,
    order_id: Option<String>,
    message: String,
    info: Value,
}

impl Work for DeleteWork<'_> {
    type Output = ();

    async fn run(&self, connection: &mut PgConnection) -> Result<()> {
        let missing = || Error::NotFound("trading log");
        // The time in the id tells in which partition the log is.
        let from = time_of(self.id).ok_or_else(missing)?;
        let log: Option<Gone> = sqlx::query_as(
            "SELECT timestamp, postings, user_id, trading_id, type, source, event_id, order_id, message, info FROM trading_logs \
             WHERE id = $1 AND timestamp >= $2 AND timestamp < $2 + interval '1 millisecond'",
        )
        .bind(self.id)
        .bind(from)
        .fetch_optional(&mut *connection)
        .await?;
        let log = log.ok_or_else(missing)?;
        if log.postings > 0 {
            return Err(Error::Conflict(Conflict::LogMovedMoney));
        }
        // Rows are never changed, so one that is still there to be deleted is the one that was read.
        let gone = sqlx::query("DELETE FROM trading_logs WHERE id = $1 AND timestamp = $2")
            .bind(self.id)
            .bind(log.timestamp)
            .execute(&mut *connection)
            .await?;
        if gone.rows_affected() == 0 {
            return Err(missing());
        }
        let before = json!({"user_id": log.user_id, "trading_id": log.trading_id, "timestamp": log.timestamp,
                            "type": log.r#type, "source": log.source, "event_id": log.event_id, "order_id": log.order_id,
                            "message": log.message, "info": log.info});
        let action = Action {
            name: "trading_log.delete",
            resource: "trading_log",
            id: Some(self.id.to_string()),
            before: Some(before),
            after: None,
        };
        audit::record(connection, self.admin.actor(), &action).await
    }
}
