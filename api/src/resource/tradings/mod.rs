//! Tradings: what bots work on.

mod create;
mod new;

use super::exchange_bindings::{BindingSummary, after_change};
use super::refusals::{Filtered, MakeTrading, One};
use super::{Tag, stored};
use crate::auth::Caller;
use crate::body::JsonBody;
use crate::envelope::{Answer, Made, Reply};
use crate::filter::containing;
use crate::once::Once;
use crate::state::State;
use crate::value::Info;
use chrono::{DateTime, Utc};
use create::TradingWork;
use new::NewTrading;
use poem::web::Data;
use poem_openapi::param::{Path, Query};
use poem_openapi::{Enum, Object, OpenApi};
use sea_orm::{
    ColumnTrait, DatabaseConnection, EntityTrait, FromQueryResult, QueryFilter, QueryOrder, Select,
};
use serde::Serialize;
use sqlx::PgConnection;
use tiris_shared::entity::{exchange_bindings, tradings};
use tiris_shared::error::{Error, Result};
use tiris_shared::ids::{BindingId, TradingId, UserId, new_id};
use uuid::Uuid;

/// Operations on tradings.
pub(crate) struct Tradings;

/// Kind of a trading.
#[derive(Clone, Copy, Enum, Serialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
enum TradingType {
    /// With money at an exchange.
    Real,
    /// With prices of now and money on paper.
    Paper,
    /// With prices of the past.
    Backtest,
}

/// Whether a bot may work on it.
#[derive(Clone, Copy, Enum, Serialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
enum TradingStatus {
    Active,
    Paused,
}

/// What one bot works on: a set of sub-accounts.
#[derive(Object, Serialize)]
struct Trading {
    id: Uuid,
    user_id: Uuid,
    /// Unique among the living tradings of the user
    name: String,
    r#type: TradingType,
    status: TradingStatus,
    /// The exchange binding; null for paper and backtest tradings without one
    #[oai(nullable)]
    exchange_binding_id: Option<Uuid>,
    /// The same binding in short
    #[oai(nullable)]
    exchange_binding: Option<BindingSummary>,
    /// Free JSON
    info: Info,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// All living tradings of the caller, newest first.
#[derive(Object, Serialize)]
struct TradingList {
    tradings: Vec<Trading>,
}

impl Trading {
    fn from_rows((row, binding): (tradings::Model, Option<exchange_bindings::Model>)) -> Result<Self> {
        Ok(Self {
            id: row.id,
            user_id: row.user_id,
            name: row.name,
            r#type: stored(&row.r#type)?,
            status: stored(&row.status)?,
            exchange_binding_id: row.exchange_binding_id,
            exchange_binding: binding.as_ref().map(BindingSummary::from_row).transpose()?,
            info: Info::from_column(row.info),
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }

    async fn load(db: &DatabaseConnection, user: UserId, id: Uuid) -> Result<Self> {
        let rows = living(user)
            .filter(tradings::Column::Id.eq(id))
            .find_also_related(exchange_bindings::Entity)
            .one(db)
            .await?;
        Self::from_rows(rows.ok_or(Error::NotFound("trading"))?)
    }

    /// The same as the running transaction has it.
    async fn load_within(connection: &mut PgConnection, user: UserId, id: TradingId) -> Result<Self> {
        let row = sqlx::query(
            "SELECT * FROM tradings WHERE id = $1 AND user_id = $2 AND status IN ('active', 'paused')",
        )
        .bind(id)
        .bind(user)
        .fetch_optional(&mut *connection)
        .await?
        .ok_or(Error::NotFound("trading"))?;
        let row = tradings::Model::from_query_result(&row.into(), "")?;
        let Some(binding) = row.exchange_binding_id else { return Self::from_rows((row, None)) };
        let binding = sqlx::query("SELECT * FROM exchange_bindings WHERE id = $1")
            .bind(binding)
            .fetch_one(connection)
            .await?;
        let binding = exchange_bindings::Model::from_query_result(&binding.into(), "")?;
        Self::from_rows((row, Some(binding)))
    }
}

/// The tradings of a user that are neither deleted nor being deleted.
fn living(user: UserId) -> Select<tradings::Entity> {
    tradings::Entity::find()
        .filter(tradings::Column::UserId.eq(user.0))
        .filter(tradings::Column::Status.is_in(["active", "paused"]))
}

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
        let tradings = rows.into_iter().map(Trading::from_rows).collect::<Result<_>>()?;
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
        Ok(Reply::new(Trading::load(&state.db, caller.user(), id.0).await?))
    }
}
