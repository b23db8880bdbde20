//! `GET /v1/tradings/{id}`

use super::object::{Trading, living};
use crate::routes::prelude::*;
use sea_orm::{ColumnTrait, QueryFilter};
use tiris_store::entity::exchange_bindings;
use tiris_store::entity::tradings::Column;

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
        let found = living(caller.user())
            .filter(Column::Id.eq(id.0))
            .find_also_related(exchange_bindings::Entity)
            .one(&state.db)
            .await
            .map_err(Error::from)?;

        let (trading, binding) = found.ok_or(Error::NotFound("trading"))?;
        Ok(Reply::read(Trading::new(trading, binding)?))
    }
}
