//! Tradings: what bots work on.

mod create;
mod delete;
mod new;
mod object;
mod performance;
mod update;

pub(super) use object::not_purged;
pub(crate) use performance::Performances;

use super::exchange_bindings::after_change;
use super::refusals::{ChangeTrading, DeleteTrading, Filtered, MakeTrading, One};
use super::{Message, Tag};
use crate::auth::Caller;
use crate::body::JsonBody;
use crate::envelope::{Answer, Made, Reply};
use crate::filter::containing;
use crate::ledger;
use crate::once::Once;
use crate::state::State;
use crate::version::IfMatch;
use create::TradingWork;
use delete::DeleteWork;
use new::NewTrading;
use object::{Trading, TradingList, living};
use poem::web::Data;
use poem_openapi::OpenApi;
use poem_openapi::param::{Path, Query};
use sea_orm::{QueryFilter, QueryOrder};
use tiris_domain::ids::{BindingId, TradingId, new_id};
use tiris_store::entity::{exchange_bindings, tradings};
use tiris_store::error::{Error, Result};
use update::{TradingChange, UpdateWork};
use uuid::Uuid;

/// Operations on tradings.
pub(crate) struct Tradings;

#[OpenApi(prefix_path = "/v1/tradings", tag = "Tag::Tradings")]
impl Tradings {
    /// All tradings of the caller, newest first
    #[oai(path = "/", method = "get", operation_id = "listTradings")]
    async fn list(
        &self,
        caller: Caller,
        state: Data<&State>,
        /// JSON object the `info` of a trading must contain
        info: Query<Option<String>>,
    ) -> Answer<TradingList, Filtered> {
        let rows = living(caller.user())
            .filter(containing(tradings::Column::Info, info.0.as_deref())?)
            .order_by_desc(tradings::Column::CreatedAt)
            .order_by_desc(tradings::Column::Id)
            .find_also_related(exchange_bindings::Entity)
            .all(&state.db)
            .await
            .map_err(Error::from)?;
        let tradings = rows
            .into_iter()
            .map(Trading::from_rows)
            .collect::<Result<_>>()?;
        Ok(Reply::new(TradingList { tradings }))
    }

    /// Makes a trading, with its sub-accounts if given
    ///
    /// Sub-accounts and their initial deposits are made together with the trading, all or nothing; so is the private
    /// binding, with the same name, of a type that names an exchange.
    #[oai(path = "/", method = "post", operation_id = "createTrading")]
    async fn create(
        &self,
        caller: Caller,
        state: Data<&State>,
        once: Once,
        body: JsonBody<NewTrading>,
    ) -> Made<Trading, MakeTrading> {
        let (binding, makes_binding) = (BindingId(new_id()), body.0.makes_binding());
        let work = TradingWork {
            user: caller.user(),
            id: TradingId(new_id()),
            binding,
            new: body.0,
            secrets: &state.secrets,
            actor: caller.actor(),
        };
        let reply = once.commit(&state, work.user, &work).await?;
        if makes_binding && reply.made().is_some() && after_change(&state, &caller, binding).await {
            let trading = Trading::load(&state.db, work.user, work.id.0).await?;
            return Ok(once.amended(&state, work.user, trading).await?);
        }
        Ok(reply)
    }

    /// One trading
    #[oai(path = "/:id", method = "get", operation_id = "getTrading")]
    async fn get(
        &self,
        caller: Caller,
        state: Data<&State>,
        /// The trading
        id: Path<Uuid>,
    ) -> Answer<Trading, One> {
        Ok(Reply::new(
            Trading::load(&state.db, caller.user(), id.0).await?,
        ))
    }

    /// Changes a trading; what is absent stays
    ///
    /// A paused trading still takes events. Its history stays when the binding changes.
    #[oai(path = "/:id", method = "put", operation_id = "updateTrading")]
    async fn update(
        &self,
        caller: Caller,
        state: Data<&State>,
        /// The trading
        id: Path<Uuid>,
        /// ETag of the version to be changed
        #[oai(name = "If-Match")]
        seen: IfMatch,
        once: Once,
        body: JsonBody<TradingChange>,
    ) -> Answer<Trading, ChangeTrading> {
        let work = UpdateWork {
            user: caller.user(),
            id: TradingId(id.0),
            seen,
            change: &body.0,
        };
        Ok(once.commit(&state, work.user, &work).await?)
    }

    /// Deletes a trading with its sub-accounts
    ///
    /// A paper or backtest trading is purged with all it holds: it is gone from all answers at once, though the last rows
    /// of a long history are removed a little later. The history of a real trading stays; it must not hold money any more.
    #[oai(path = "/:id", method = "delete", operation_id = "deleteTrading")]
    async fn delete(
        &self,
        caller: Caller,
        state: Data<&State>,
        /// The trading
        id: Path<Uuid>,
    ) -> Answer<Message, DeleteTrading> {
        let work = DeleteWork {
            user: caller.user(),
            actor: caller.actor(),
            id: TradingId(id.0),
        };
        if ledger::commit(&state.pool, &work).await?.is_purged() {
            delete::purge_begin(&state.pool, work.id).await;
        }
        Ok(Reply::new(Message::new("The trading is deleted.")))
    }
}
