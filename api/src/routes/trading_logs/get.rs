//! `GET /v1/trading-logs/{id}`

use super::list::owned;
use super::object::TradingLog;
use super::of_account::ORDER;
use crate::http::page;
use crate::routes::prelude::*;

operation!(GetTradingLog: User, General, [INVALID, NOT_FOUND]);

#[OpenApi(prefix_path = "/v1/trading-logs", tag = "Tag::TradingLogs")]
impl GetTradingLog {
    /// Get a trading log
    ///
    /// Returns one entry of the journal of a trading.
    #[oai(path = "/:id", method = "get", operation_id = "getTradingLog")]
    async fn get(
        &self,
        caller: Caller<Self>,
        state: Data<&State>,
        /// Id of the trading log, from `GET /v1/trading-logs`
        id: Path<Uuid>,
    ) -> Answer<TradingLog, Self> {
        let row = page::by_id(&state.db, owned(caller.user()), ORDER, id.0).await?;

        let row = row.ok_or(Error::NotFound("trading log"))?;
        Ok(Reply::read(TradingLog::try_from(row)?))
    }
}
