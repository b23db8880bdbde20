//! `GET /v1/tradings/{id}`

use super::object::Trading;
use crate::routes::prelude::*;
use tiris_domain::ids::TradingId;

/// Get a trading.
pub(crate) struct GetTrading;

impl Policy for GetTrading {
    const ACCESS: Access = Access::User;
    const RATE: Option<Class> = Some(Class::General);
    const REFUSALS: &'static [Refusal] = &[INVALID, NOT_FOUND];
}

#[OpenApi(prefix_path = "/v1/tradings", tag = "Tag::Tradings")]
impl GetTrading {
    /// One trading
    #[oai(path = "/:id", method = "get", operation_id = "getTrading")]
    async fn get(
        &self,
        caller: Caller<Self>,
        state: Data<&State>,
        /// The trading
        id: Path<Uuid>,
    ) -> Answer<Trading, Self> {
        let trading = Trading::get(&state, caller.user(), TradingId(id.0)).await?;

        Ok(Reply::read(trading))
    }
}
