//! `DELETE /v1/trading-logs/{id}`

use crate::routes::prelude::*;
use serde_json::json;
use tiris_domain::ids::LogId;
use tiris_store::audit::{self, Action};
use tiris_store::trading_logs;

/// Delete a trading log.
pub(crate) struct DeleteTradingLog;

impl Policy for DeleteTradingLog {
    const ACCESS: Access = Access::Admin;
    const RATE: Option<Class> = Some(Class::General);
    const REFUSALS: &'static [Refusal] = &[
        INVALID,
        (404, "`NOT_FOUND`: it does not exist"),
        (
            409,
            "`LOG_MOVED_MONEY`: it moved money and is part of the books",
        ),
    ];
}

#[OpenApi(prefix_path = "/v1/trading-logs", tag = "Tag::TradingLogs")]
impl DeleteTradingLog {
    /// Deletes a trading log that moved no money (admins)
    ///
    /// What it said of itself stays in the audit trail. A log that moved money is part of the books.
    #[oai(path = "/:id", method = "delete", operation_id = "deleteTradingLog")]
    async fn delete(
        &self,
        caller: Caller<Self>,
        state: Data<&State>,
        /// The trading log
        id: Path<Uuid>,
    ) -> Answer<Message, Self> {
        let reply = Tx::run(&state, caller.user(), async |mut tx: Tx| {
            let log = trading_logs::delete(&mut tx, LogId(id.0)).await?;

            // All it said: it may be the only trace of a hold.
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
                name: "trading_log.delete",
                resource: "trading_log",
                id: Some(id.0.to_string()),
                before: Some(before),
                after: None,
            };
            audit::record(&mut tx, caller.actor(), &action).await?;
            tx.finish(Message::new("The trading log is deleted.")).await
        });
        Ok(reply.await?)
    }
}
