//! `DELETE /v1/tradings/{id}`

use crate::routes::prelude::*;
use std::time::Duration;
use tiris_store::tradings::{self, Purged};

/// Rows of each table that one transaction removes.
const PURGED_AT_ONCE: u32 = 1_000;
/// Transactions of one request; ingest removes the rest.
const PIECES_MAX: u32 = 10;
/// Longest time a request spends on the purge; the response does not depend on it.
const PURGE_TIME_MAX: Duration = Duration::from_secs(3);

operation!(DeleteTrading: User, General, [
    INVALID,
    NOT_FOUND,
    (409, "`TRADING_NOT_EMPTY`: a real trading still holds money; withdraw it first"),
]);

#[OpenApi(prefix_path = "/v1/tradings", tag = "Tag::Tradings")]
impl DeleteTrading {
    /// Delete a trading with its sub-accounts
    ///
    /// A paper or backtest trading is removed with all its sub-accounts, transactions and logs: it disappears from all
    /// responses at once, and the last rows of a long history are purged in the background. A real trading must hold no
    /// money; its transactions and logs stay readable.
    #[oai(path = "/:id", method = "delete", operation_id = "deleteTrading")]
    async fn delete(
        &self,
        caller: Caller<Self>,
        state: Data<&State>,
        /// Id of the trading, from `GET /v1/tradings`
        id: Path<Uuid>,
    ) -> Answer<Message, Self> {
        let user = caller.user();
        let id = TradingId(id.0);

        let deleted = Tx::run(&state, user, async |mut tx: Tx| {
            let deleted = tradings::delete(&mut tx, user, id).await?;
            let action = Action {
                before: Some(json!({"name": deleted.name, "type": deleted.kind})),
                ..action(ActionName::TradingDelete, "trading", id)
            };
            let tx = tx.audited(caller.actor(), &action).await?;
            tx.commit().await?;
            Ok(deleted)
        })
        .await?;

        if deleted.is_purged() {
            // A transaction that the timeout interrupts is rolled back.
            let purge = purge(&state, id);
            tokio::time::timeout(PURGE_TIME_MAX, purge).await.ok();
        }
        Ok(Reply::done(Message::new("The trading is deleted.")))
    }
}

/// Purges a deleted trading within the limits of a request. Errors are only logged: the trading is deleted already.
async fn purge(state: &State, id: TradingId) {
    for _ in 0..PIECES_MAX {
        let piece = Tx::run_public(state, async |mut tx: Tx| {
            let purged = tradings::purge_some(&mut tx, id, PURGED_AT_ONCE).await?;
            tx.continued().commit().await?;
            Ok(purged)
        });
        match piece.await {
            Ok(Purged::Some) => {}
            Ok(Purged::All | Purged::Nothing) => return,
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, trading_id = %id, "purge of a deleted trading failed; ingest continues it");
                return;
            }
        }
    }
}
