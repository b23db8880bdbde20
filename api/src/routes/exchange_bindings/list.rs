//! `GET /v1/exchange-bindings` and `GET /v1/exchange-bindings/public`

use super::object::ExchangeBinding;
use crate::routes::prelude::*;
use tiris_domain::states::{BindingKind, BindingStatus};
use tiris_store::entity::exchange_bindings::{Column, Entity};

operation!(ListExchangeBindings: User, General, [INVALID_FILTER]);

operation!(ListPublicExchangeBindings: User, General, [INVALID_FILTER]);

/// All matching bindings that are not deleted.
#[derive(Object, Serialize)]
struct ExchangeBindingList {
    /// Bindings, newest first
    exchange_bindings: Vec<ExchangeBinding>,
}

#[OpenApi(prefix_path = "/v1/exchange-bindings", tag = "Tag::ExchangeBindings")]
impl ListExchangeBindings {
    /// List the caller's private exchange bindings
    ///
    /// Returns all bindings of the caller that are not deleted, newest first, without their credentials.
    #[oai(path = "/", method = "get", operation_id = "listExchangeBindings")]
    async fn list(
        &self,
        caller: Caller<Self>,
        state: Data<&State>,
        /// Only bindings whose `info` contains this JSON object, URL-encoded
        info: Query<Option<String>>,
    ) -> Answer<ExchangeBindingList, Self> {
        let own = Condition::all().add(Column::UserId.eq(caller.user().0));

        Ok(Reply::read(read(&state, own, info.0.as_deref()).await?))
    }
}

#[OpenApi(prefix_path = "/v1/exchange-bindings", tag = "Tag::ExchangeBindings")]
impl ListPublicExchangeBindings {
    /// List the public exchange bindings
    ///
    /// Public bindings hold no credentials and can be used by every user, for example for paper trading.
    #[oai(
        path = "/public",
        method = "get",
        operation_id = "listPublicExchangeBindings"
    )]
    async fn list(
        &self,
        _caller: Caller<Self>,
        state: Data<&State>,
        /// Only bindings whose `info` contains this JSON object, URL-encoded
        info: Query<Option<String>>,
    ) -> Answer<ExchangeBindingList, Self> {
        let public = Condition::all().add(Column::Kind.eq(BindingKind::Public.as_str()));

        Ok(Reply::read(read(&state, public, info.0.as_deref()).await?))
    }
}

/// Reads the bindings that meet a condition and whose free JSON contains `info`.
async fn read(
    state: &State,
    condition: Condition,
    info: Option<&str>,
) -> Result<ExchangeBindingList> {
    let rows = Entity::find()
        .filter(condition)
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
