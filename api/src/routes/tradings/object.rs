//! Tradings as answers show them, and which of them are visible.

use crate::http::field::Field;
use crate::routes::exchange_bindings::object::BindingSummary;
use crate::state::State;
use chrono::{DateTime, Utc};
use poem_openapi::{Enum, Object};
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QuerySelect, QueryTrait, Select};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use tiris_domain::ids::{TradingId, UserId};
use tiris_domain::states::{TradingStatus, TradingType};
use tiris_domain::value::Info;
use tiris_store::column;
use tiris_store::entity::exchange_bindings;
use tiris_store::entity::tradings::{Column, Entity, Model};
use tiris_store::error::{Error, Result};
use tiris_store::tradings;
use uuid::Uuid;

/// Whether a bot may work on it.
#[derive(Clone, Copy, Enum, Serialize, Deserialize)]
#[oai(rename = "TradingStatus", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub(super) enum LivingStatus {
    Active,
    Paused,
}

impl From<LivingStatus> for TradingStatus {
    fn from(status: LivingStatus) -> Self {
        match status {
            LivingStatus::Active => Self::Active,
            LivingStatus::Paused => Self::Paused,
        }
    }
}

impl TryFrom<TradingStatus> for LivingStatus {
    type Error = Error;

    fn try_from(status: TradingStatus) -> Result<Self> {
        match status {
            TradingStatus::Active => Ok(Self::Active),
            TradingStatus::Paused => Ok(Self::Paused),
            TradingStatus::Deleting | TradingStatus::Deleted => {
                Err(Error::internal("a deleted trading was read"))
            }
        }
    }
}

/// What one bot works on: a set of sub-accounts.
#[derive(Object, Serialize)]
pub(super) struct Trading {
    id: Uuid,
    user_id: Uuid,
    /// Unique among the living tradings of the user
    name: String,
    r#type: Field<TradingType>,
    status: LivingStatus,
    /// The exchange binding; null for paper and backtest tradings without one
    #[oai(nullable)]
    exchange_binding_id: Option<Uuid>,
    /// The same binding in short
    #[oai(nullable)]
    exchange_binding: Option<BindingSummary>,
    /// Free JSON
    info: Field<Info>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl Trading {
    /// A trading with its binding.
    pub(super) fn new(row: Model, binding: Option<exchange_bindings::Model>) -> Result<Self> {
        let status: TradingStatus = column::state(&row.status)?;

        Ok(Self {
            id: row.id,
            user_id: row.user_id,
            name: row.name,
            r#type: Field(column::state(&row.r#type)?),
            status: status.try_into()?,
            exchange_binding_id: row.exchange_binding_id,
            exchange_binding: binding.map(BindingSummary::try_from).transpose()?,
            info: Field(Info::from_column(row.info)),
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }

    /// A living trading of a user with its binding.
    pub(super) async fn get(state: &State, user: UserId, id: TradingId) -> Result<Self> {
        let found = living(user)
            .filter(Column::Id.eq(id.0))
            .find_also_related(exchange_bindings::Entity)
            .one(&state.db)
            .await?;

        let (trading, binding) = found.ok_or(Error::NotFound("trading"))?;
        Self::new(trading, binding)
    }

    /// A trading with its binding as the running transaction sees it.
    pub(super) async fn within(connection: &mut PgConnection, row: Model) -> Result<Self> {
        let binding = tradings::binding_of(connection, &row).await?;
        Self::new(row, binding)
    }
}

/// The tradings of a user that are neither deleted nor being deleted.
pub(super) fn living(user: UserId) -> Select<Entity> {
    let living = [TradingStatus::Active, TradingStatus::Paused].map(TradingStatus::as_str);

    Entity::find()
        .filter(Column::UserId.eq(user.0))
        .filter(Column::Status.is_in(living))
}

/// Rows whose trading is not being purged: what a deleted trading held is gone at once, though the last row goes later.
pub(in crate::routes) fn not_purged<C: ColumnTrait>(trading: C, user: UserId) -> Condition {
    let purged = Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Column::UserId.eq(user.0))
        .filter(Column::Status.eq(TradingStatus::Deleting.as_str()))
        .into_query();

    Condition::all().add(trading.not_in_subquery(purged))
}
