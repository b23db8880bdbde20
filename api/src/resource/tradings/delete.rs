//! Deletes a trading, and begins to purge what it held.

use crate::ledger::{self, Work};
use serde_json::json;
use sqlx::{PgConnection, PgPool};
use std::time::Duration;
use tiris_domain::ids::{TradingId, UserId};
use tiris_store::audit::{self, Action, Actor};
use tiris_store::error::Result;
use tiris_store::tradings::{self, Deleted, Purged};

/// Rows of each kind that one transaction removes.
const PURGED_AT_ONCE: u32 = 1_000;
/// Transactions of one request; what is left is the upkeep of ingest's.
const PIECES_MAX: u32 = 10;
/// Longest time a request spends on it: the answer is the same.
const PURGE_TIME_MAX: Duration = Duration::from_secs(3);

/// The transaction that deletes a trading.
pub(super) struct DeleteWork<'a> {
    pub(super) user: UserId,
    pub(super) actor: &'a Actor,
    pub(super) id: TradingId,
}

impl Work for DeleteWork<'_> {
    type Output = Deleted;

    async fn run(&self, connection: &mut PgConnection) -> Result<Deleted> {
        let deleted = tradings::delete(connection, self.user, self.id).await?;
        let action = Action {
            name: "trading.delete",
            resource: "trading",
            id: Some(self.id.to_string()),
            before: Some(json!({"name": deleted.name, "type": deleted.kind})),
            after: None,
        };
        audit::record(connection, self.actor, &action).await?;
        Ok(deleted)
    }
}

/// One piece of the purge.
struct PieceWork {
    id: TradingId,
}

impl Work for PieceWork {
    type Output = Purged;

    async fn run(&self, connection: &mut PgConnection) -> Result<Purged> {
        tradings::purge_some(connection, self.id, PURGED_AT_ONCE).await
    }
}

/// Purges a deleted trading as far as a request may take. Trouble is no failure: the trading is deleted.
pub(super) async fn purge_begin(pool: &PgPool, id: TradingId) {
    // A piece that is cut off is rolled back.
    tokio::time::timeout(PURGE_TIME_MAX, purge_pieces(pool, id))
        .await
        .ok();
}

async fn purge_pieces(pool: &PgPool, id: TradingId) {
    for _ in 0..PIECES_MAX {
        match ledger::commit(pool, &PieceWork { id }).await {
            Ok(Purged::Some) => {}
            Ok(Purged::All | Purged::Nothing) => return,
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, trading_id = %id, "the purge is left to ingest");
                return;
            }
        }
    }
}
