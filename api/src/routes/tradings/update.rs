//! `PUT /v1/tradings/{id}`

use super::object::{LivingStatus, Trading, summary};
use crate::routes::prelude::*;
use tiris_store::exchange_bindings;
use tiris_store::tradings::{self, TradingUpdate};

operation!(UpdateTrading: User, General, [
    INVALID_BODY,
    (
        404,
        "`NOT_FOUND`: the trading or the exchange binding does not exist or belongs to another \
         user",
    ),
    (409, "`TRADING_NAME_EXISTS`: the caller has another trading with this name"),
    STALE,
]);

/// Changes of a trading; absent and null fields stay as they are.
#[derive(Object, Deserialize)]
#[oai(example, skip_serializing_if_is_none)]
struct TradingChange {
    /// New name, unique among your tradings that are not deleted
    name: Option<Field<Name>>,
    /// Whether a bot should work on it
    status: Option<LivingStatus>,
    /// Id of one of your exchange bindings or a public one
    exchange_binding_id: Option<Field<BindingId>>,
    /// Free JSON that replaces the current one, at most 16 KiB
    info: Option<Field<Info>>,
}

impl Example for TradingChange {
    fn example() -> Self {
        Self {
            name: Some(Field(Name::from_static("ETH grid, slow"))),
            status: Some(LivingStatus::Paused),
            exchange_binding_id: None,
            info: Some(Field::default()),
        }
    }
}

#[OpenApi(prefix_path = "/v1/tradings", tag = "Tag::Tradings")]
impl UpdateTrading {
    /// Update a trading
    ///
    /// Absent fields stay as they are. `paused` signals the bot to stop; events of a paused trading are still applied. The
    /// type cannot be changed, and the history stays when the binding changes. With `If-Match` the update applies only
    /// to the version with that `ETag`, otherwise it fails with `STALE_VERSION`.
    #[oai(path = "/:id", method = "put", operation_id = "updateTrading")]
    async fn update(
        &self,
        caller: Caller<Self>,
        state: Data<&State>,
        /// Id of the trading, from `GET /v1/tradings`
        id: Path<Uuid>,
        /// `ETag` of the version to update, from an earlier `GET`
        #[oai(name = "If-Match")]
        seen: IfMatch,
        idempotency: Idempotency,
        body: JsonBody<TradingChange>,
    ) -> Answer<Trading, Self> {
        let user = caller.user();
        let id = TradingId(id.0);
        let change = TradingUpdate {
            name: body.0.name.map(|name| name.0),
            status: body.0.status.map(Into::into),
            binding: body.0.exchange_binding_id.map(|id| id.0),
            info: body.0.info.map(|info| info.0),
        };

        let work = async |mut tx: Tx| {
            let current = tradings::lock(&mut tx, user, id).await?;
            let before = summary(&current);
            let current = Trading::within(&mut tx, current).await?;
            seen.check(&current)?;
            if let Some(binding) = change.binding {
                exchange_bindings::share(&mut tx, user, binding).await?;
            }

            let Some(changed) = tradings::update(&mut tx, id, &change).await? else {
                return tx.finish_unchanged(current).await;
            };
            let mut after = summary(&changed);
            after["info_given"] = json!(change.info.is_some());
            let trading = Trading::within(&mut tx, changed).await?;
            let action = Action {
                before: Some(before),
                after: Some(after),
                ..action(ActionName::TradingUpdate, "trading", id)
            };
            let tx = tx.audited(caller.actor(), &action).await?;
            tx.finish(trading).await
        };
        let reread = async || Trading::get(&state, user, id).await;
        let reply = idempotency.run_or_reread(&state, user, work, reread);
        Ok(reply.await?)
    }
}
