//! `GET /v1/trading-logs/{id}`

use super::object::TradingLog;
use super::owned::{ORDER, owned};
use crate::http::page;
use crate::routes::prelude::*;

/// Get a trading log.
pub(crate) struct GetTradingLog;

impl Policy for GetTradingLog {
    const ACCESS: Access = Access::User;
    const RATE: Option<Class> = Some(Class::General);
    const REFUSALS: &'static [Refusal] = &[INVALID, NOT_FOUND];
}

#[OpenApi(prefix_path = "/v1/trading-logs", tag = "Tag::TradingLogs")]
impl GetTradingLog {
    /// One trading log
    #[oai(path = "/:id", method = "get", operation_id = "getTradingLog")]
    async fn get(
        &self,
        caller: Caller<Self>,
        state: Data<&State>,
        /// The trading log
        id: Path<Uuid>,
    ) -> Answer<TradingLog, Self> {
        let row = page::by_id(&state.db, owned(caller.user()), ORDER, id.0).await?;

        let row = row.ok_or(Error::NotFound("trading log"))?;
        Ok(Reply::read(TradingLog::try_from(row)?))
    }
}
