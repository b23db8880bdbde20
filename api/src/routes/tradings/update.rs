//! `PUT /v1/tradings/{id}`

use super::object::{LivingStatus, Trading};
use crate::routes::prelude::*;
use tiris_domain::ids::{BindingId, TradingId};
use tiris_domain::value::{Info, Name};
use tiris_store::exchange_bindings;
use tiris_store::tradings::{self, TradingUpdate};

/// Change a trading.
pub(crate) struct UpdateTrading;

impl Policy for UpdateTrading {
    const ACCESS: Access = Access::User;
    const RATE: Option<Class> = Some(Class::General);
    const REFUSALS: &'static [Refusal] = &[
        INVALID_BODY,
        (
            404,
            "`NOT_FOUND`: the trading or the exchange binding does not exist, or is somebody else's",
        ),
        (
            409,
            "`TRADING_NAME_EXISTS`: another living trading of the caller has the name",
        ),
        STALE,
        TOO_LARGE,
        NO_JSON,
    ];
}

/// What is to be changed; what is absent or null stays.
#[derive(Object, Deserialize)]
#[oai(example, skip_serializing_if_is_none)]
struct TradingChange {
    /// Unique among your living tradings
    name: Option<Field<Name>>,
    /// Whether a bot shall work on it
    status: Option<LivingStatus>,
    /// A binding of yours or a public one
    exchange_binding_id: Option<Field<BindingId>>,
    /// Free JSON that replaces what is there, at most 16 KiB
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
    /// Changes a trading; what is absent stays
    ///
    /// A paused trading still takes events. Its history stays when the binding changes.
    #[oai(path = "/:id", method = "put", operation_id = "updateTrading")]
    async fn update(
        &self,
        caller: Caller<Self>,
        state: Data<&State>,
        /// The trading
        id: Path<Uuid>,
        /// ETag of the version to be changed
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

        let reply = idempotency.run(&state, user, async |mut tx: Tx| {
            let current = tradings::lock(&mut tx, user, id).await?;
            if seen.is_given() {
                seen.check(&Trading::within(&mut tx, current).await?)?;
            }
            if let Some(binding) = change.binding {
                exchange_bindings::share(&mut tx, user, binding).await?;
            }

            let changed = tradings::update(&mut tx, id, &change).await?;
            let trading = Trading::within(&mut tx, changed).await?;
            tx.finish(trading).await
        });
        Ok(reply.await?)
    }
}
