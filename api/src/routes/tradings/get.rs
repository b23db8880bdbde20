//! `GET /v1/tradings/{id}`

use super::object::Trading;
use crate::routes::prelude::*;

operation!(GetTrading: User, General, [INVALID, NOT_FOUND]);

#[OpenApi(prefix_path = "/v1/tradings", tag = "Tag::Tradings")]
impl GetTrading {
    /// Get a trading
    ///
    /// Returns the trading with a summary of its exchange binding. Send the `ETag` of the response as `If-Match` to
    /// update exactly this version.
    #[oai(path = "/:id", method = "get", operation_id = "getTrading")]
    async fn get(
        &self,
        caller: Caller<Self>,
        state: Data<&State>,
        /// Id of the trading, from `GET /v1/tradings`
        id: Path<Uuid>,
    ) -> Answer<Trading, Self> {
        let trading = Trading::get(&state, caller.user(), TradingId(id.0)).await?;

        Ok(Reply::read(trading))
    }
}
