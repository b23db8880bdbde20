//! `GET /v1/exchange-bindings`

use super::object::{ExchangeBinding, ExchangeBindingList};
use crate::http::filter::containing;
use crate::routes::prelude::*;
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder};
use tiris_domain::states::BindingStatus;
use tiris_store::entity::exchange_bindings::{Column, Entity};

/// List the exchange bindings of the caller.
pub(crate) struct ListExchangeBindings;

impl Policy for ListExchangeBindings {
    const ACCESS: Access = Access::User;
    const RATE: Option<Class> = Some(Class::General);
    const REFUSALS: &'static [Refusal] = &[INVALID_FILTER];
}

#[OpenApi(prefix_path = "/v1/exchange-bindings", tag = "Tag::ExchangeBindings")]
impl ListExchangeBindings {
    /// The caller's own bindings, newest first, without their credentials
    #[oai(path = "/", method = "get", operation_id = "listExchangeBindings")]
    async fn list(
        &self,
        caller: Caller<Self>,
        state: Data<&State>,
        /// JSON object the `info` of a binding must contain
        info: Query<Option<String>>,
    ) -> Answer<ExchangeBindingList, Self> {
        let mine = Condition::all().add(Column::UserId.eq(caller.user().0));

        Ok(Reply::read(living(&state, mine, info.0.as_deref()).await?))
    }
}

/// The living bindings that meet the condition and contain `info`.
pub(super) async fn living(
    state: &State,
    which: Condition,
    info: Option<&str>,
) -> Result<ExchangeBindingList> {
    let rows = Entity::find()
        .filter(which)
        .filter(Column::Status.ne(BindingStatus::Deleted.as_str()))
        .filter(containing(Column::Info, info)?)
        .order_by_desc(Column::CreatedAt)
        .order_by_desc(Column::Id)
        .all(&state.db)
        .await?;

    let exchange_bindings = rows.into_iter().map(ExchangeBinding::try_from);
    Ok(ExchangeBindingList {
        exchange_bindings: exchange_bindings.collect::<Result<_>>()?,
    })
}
