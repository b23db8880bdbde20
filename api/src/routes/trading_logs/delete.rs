//! `DELETE /v1/trading-logs/{id}`

use crate::routes::prelude::*;
use tiris_domain::ids::LogId;
use tiris_store::trading_logs;

operation!(DeleteTradingLog: Admin, General, [
    INVALID,
    (404, "`NOT_FOUND`: the trading log does not exist"),
    (409, "`LOG_MOVED_MONEY`: the log moved money and is part of the books"),
]);

#[OpenApi(prefix_path = "/v1/trading-logs", tag = "Tag::AdminTradingLogs")]
impl DeleteTradingLog {
    /// Delete a trading log that moved no money
    ///
    /// Admins only. The content of the log stays in the audit trail. A log that moved money is part of the books and
    /// cannot be deleted.
    #[oai(path = "/:id", method = "delete", operation_id = "deleteTradingLog")]
    async fn delete(
        &self,
        caller: Caller<Self>,
        state: Data<&State>,
        /// Id of the trading log, from `GET /v1/trading-logs`
        id: Path<Uuid>,
    ) -> Answer<Message, Self> {
        let reply = Tx::run(&state, caller.user(), async |mut tx: Tx| {
            let log = trading_logs::delete(&mut tx, LogId(id.0)).await?;

            // The whole log, because it may be the only record of a hold.
            let before = json!({
                "user_id": log.user_id,
                "trading_id": log.trading_id,
                "timestamp": log.timestamp,
                "type": log.r#type,
                "source": log.source,
                "event_id": log.event_id,
                "order_id": log.order_id,
                "message": log.message,
                "info": log.info,
            });
            let action = Action {
                before: Some(before),
                ..action(ActionName::TradingLogDelete, "trading_log", id.0)
            };
            let tx = tx.audited(caller.actor(), &action).await?;
            tx.finish(Message::new("The trading log is deleted.")).await
        });
        Ok(reply.await?)
    }
}
