//! `DELETE /v1/tradings/{id}`

use crate::routes::prelude::*;
use serde_json::json;
use std::time::Duration;
use tiris_domain::ids::TradingId;
use tiris_store::audit::{self, Action};
use tiris_store::tradings::{self, Purged};

/// Rows of each kind that one transaction removes.
const PURGED_AT_ONCE: u32 = 1_000;
/// Transactions of one request; the rest is left to the upkeep of ingest.
const PIECES_MAX: u32 = 10;
/// Longest time a request spends on the purge: its answer is the same.
const PURGE_TIME_MAX: Duration = Duration::from_secs(3);

/// Delete a trading.
pub(crate) struct DeleteTrading;

impl Policy for DeleteTrading {
    const ACCESS: Access = Access::User;
    const RATE: Option<Class> = Some(Class::General);
    const REFUSALS: &'static [Refusal] = &[
        INVALID,
        NOT_FOUND,
        (
            409,
            "`TRADING_NOT_EMPTY`: a real trading that still holds money",
        ),
    ];
}

#[OpenApi(prefix_path = "/v1/tradings", tag = "Tag::Tradings")]
impl DeleteTrading {
    /// Deletes a trading with its sub-accounts
    ///
    /// A paper or backtest trading is purged with all it holds: it is gone from all answers at once, though the last rows
    /// of a long history are removed a little later. The history of a real trading stays; it must not hold money any more.
    #[oai(path = "/:id", method = "delete", operation_id = "deleteTrading")]
    async fn delete(
        &self,
        caller: Caller<Self>,
        state: Data<&State>,
        /// The trading
        id: Path<Uuid>,
    ) -> Answer<Message, Self> {
        let user = caller.user();
        let id = TradingId(id.0);

        let deleted = Tx::run(&state, user, async |mut tx: Tx| {
            let deleted = tradings::delete(&mut tx, user, id).await?;
            let action = Action {
                name: "trading.delete",
                resource: "trading",
                id: Some(id.to_string()),
                before: Some(json!({"name": deleted.name, "type": deleted.kind})),
                after: None,
            };
            audit::record(&mut tx, caller.actor(), &action).await?;
            tx.commit().await?;
            Ok(deleted)
        })
        .await?;

        if deleted.is_purged() {
            // A piece that is cut off is rolled back.
            let purge = purge(&state, id);
            tokio::time::timeout(PURGE_TIME_MAX, purge).await.ok();
        }
        Ok(Reply::done(Message::new("The trading is deleted.")))
    }
}

/// Purges a deleted trading as far as a request may take. A failure is not the caller's: the trading is deleted.
async fn purge(state: &State, id: TradingId) {
    for _ in 0..PIECES_MAX {
        let piece = Tx::run_public(state, async |mut tx: Tx| {
            let purged = tradings::purge_some(&mut tx, id, PURGED_AT_ONCE).await?;
            tx.commit().await?;
            Ok(purged)
        });
        match piece.await {
            Ok(Purged::Some) => {}
            Ok(Purged::All | Purged::Nothing) => return,
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, trading_id = %id, "the purge is left to ingest");
                return;
            }
        }
    }
}
