//! `GET /v1/exchange-bindings/public`

use super::list::living;
use super::object::ExchangeBindingList;
use crate::routes::prelude::*;
use sea_orm::{ColumnTrait, Condition};
use tiris_domain::states::BindingKind;
use tiris_store::entity::exchange_bindings::Column;

/// List the public exchange bindings.
pub(crate) struct ListPublicExchangeBindings;

impl Policy for ListPublicExchangeBindings {
    const ACCESS: Access = Access::User;
    const RATE: Option<Class> = Some(Class::General);
    const REFUSALS: &'static [Refusal] = &[INVALID_FILTER];
}

#[OpenApi(prefix_path = "/v1/exchange-bindings", tag = "Tag::ExchangeBindings")]
impl ListPublicExchangeBindings {
    /// The bindings everybody may use
    #[oai(
        path = "/public",
        method = "get",
        operation_id = "listPublicExchangeBindings"
    )]
    async fn list(
        &self,
        _caller: Caller<Self>,
        state: Data<&State>,
        /// JSON object the `info` of a binding must contain
        info: Query<Option<String>>,
    ) -> Answer<ExchangeBindingList, Self> {
        let public = Condition::all().add(Column::Kind.eq(BindingKind::Public.as_str()));

        Ok(Reply::read(
            living(&state, public, info.0.as_deref()).await?,
        ))
    }
}
