//! The trading in responses, and the tradings a user sees.

use crate::routes::exchange_bindings::object::BindingSummary;
use crate::routes::prelude::*;
use sea_orm::{QuerySelect, QueryTrait};
use serde_json::Value;
use sqlx::PgConnection;
use tiris_domain::states::{TradingStatus, TradingType};
use tiris_store::entity::exchange_bindings;
use tiris_store::entity::tradings::{Column, Entity, Model};
use tiris_store::tradings;

/// Whether a bot should work on the trading. Events of a paused trading are still applied.
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

/// The unit one bot works on: a set of sub-accounts.
#[derive(Object, Serialize)]
pub(super) struct Trading {
    /// Id of the trading
    id: Uuid,
    /// Id of its owner
    user_id: Uuid,
    /// Name, unique among the owner's tradings that are not deleted
    name: String,
    /// `real` with money at an exchange, `paper` with current prices and simulated money, `backtest` with past prices
    r#type: Field<TradingType>,
    /// Whether a bot should work on it
    status: LivingStatus,
    /// Id of the exchange binding; null for paper and backtest tradings without one
    #[oai(nullable)]
    exchange_binding_id: Option<Uuid>,
    /// Summary of the exchange binding
    #[oai(nullable)]
    exchange_binding: Option<BindingSummary>,
    /// Free JSON of the owner
    info: Field<Info>,
    /// When it was created
    created_at: DateTime<Utc>,
    /// When it was last changed
    updated_at: DateTime<Utc>,
}

impl Trading {
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

    /// Reads a trading of a user that is not deleted.
    pub(super) async fn get(state: &State, user: UserId, id: TradingId) -> Result<Self> {
        let found = living(user)
            .filter(Column::Id.eq(id.0))
            .find_also_related(exchange_bindings::Entity)
            .one(&state.db)
            .await?;

        let (trading, binding) = found.ok_or(Error::NotFound("trading"))?;
        Self::new(trading, binding)
    }

    /// Completes a trading with its binding in the running transaction.
    pub(super) async fn within(connection: &mut PgConnection, row: Model) -> Result<Self> {
        let binding = tradings::binding_of(connection, &row).await?;
        Self::new(row, binding)
    }
}

/// Returns a trading in the audit trail.
pub(super) fn summary(row: &Model) -> Value {
    json!({
        "name": row.name,
        "type": row.r#type,
        "status": row.status,
        "exchange_binding_id": row.exchange_binding_id,
    })
}

/// Returns the tradings of a user that are not deleted.
pub(super) fn living(user: UserId) -> Select<Entity> {
    let living = [TradingStatus::Active, TradingStatus::Paused].map(TradingStatus::as_str);

    Entity::find()
        .filter(Column::UserId.eq(user.0))
        .filter(Column::Status.is_in(living))
}

/// Selects rows whose trading is not being purged: they disappear at once, though the purge removes them later.
pub(in crate::routes) fn not_purged<C: ColumnTrait>(trading: C, user: UserId) -> Condition {
    let purged = Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Column::UserId.eq(user.0))
        .filter(Column::Status.eq(TradingStatus::Deleting.as_str()))
        .into_query();

    Condition::all().add(trading.not_in_subquery(purged))
}
