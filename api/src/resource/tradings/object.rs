//! Tradings as answers show them, and which of them there are.

use crate::entities::Entities;
use crate::resource::exchange_bindings::BindingSummary;
use crate::resource::stored;
use crate::value::Info;
use chrono::{DateTime, Utc};
use poem_openapi::{Enum, Object};
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, FromQueryResult, QueryFilter, QuerySelect, QueryTrait,
    Select,
};
use serde::Serialize;
use sqlx::PgConnection;
use tiris_domain::ids::{TradingId, UserId};
use tiris_store::entity::{exchange_bindings, tradings};
use tiris_store::error::{Error, Result};
use uuid::Uuid;

/// Kind of a trading.
#[derive(Clone, Copy, Enum, Serialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub(super) enum TradingType {
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
pub(super) enum TradingStatus {
    Active,
    Paused,
}

impl TradingStatus {
    /// Names in requests and in the database.
    pub(super) const NAMES: [(&'static str, Self); 2] =
        [("active", Self::Active), ("paused", Self::Paused)];

    /// The name of it.
    pub(super) const fn stored(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Paused => "paused",
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
pub(super) struct TradingList {
    pub(super) tradings: Vec<Trading>,
}

impl Trading {
    pub(super) fn from_rows(
        (row, binding): (tradings::Model, Option<exchange_bindings::Model>),
    ) -> Result<Self> {
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

    pub(super) async fn load(db: &Entities, user: UserId, id: Uuid) -> Result<Self> {
        let rows = living(user)
            .filter(tradings::Column::Id.eq(id))
            .find_also_related(exchange_bindings::Entity)
            .one(db)
            .await?;
        Self::from_rows(rows.ok_or(Error::NotFound("trading"))?)
    }

    /// The trading as the running transaction has it.
    pub(super) async fn load_within(connection: &mut PgConnection, id: TradingId) -> Result<Self> {
        let row = sqlx::query("SELECT id, user_id, exchange_binding_id, name, type, status, info, created_at, updated_at \
             FROM tradings WHERE id = $1")
            .bind(id.0)
            .fetch_one(&mut *connection)
            .await?;
        let row = tradings::Model::from_query_result(&row.into(), "")?;
        let binding = sqlx::query("SELECT id, user_id, name, exchange_type, kind, api_key_encrypted, api_secret_encrypted, passphrase_encrypted, \
         masked_api_key, key_id, fingerprint, status, last_verified_at, info, created_at, updated_at \
             FROM exchange_bindings WHERE id = $1")
            .bind(row.exchange_binding_id)
            .fetch_optional(connection)
            .await?;
        let binding =
            binding.map(|binding| exchange_bindings::Model::from_query_result(&binding.into(), ""));
        Self::from_rows((row, binding.transpose()?))
    }
}

/// The tradings of a user that are neither deleted nor being deleted.
pub(super) fn living(user: UserId) -> Select<tradings::Entity> {
    tradings::Entity::find()
        .filter(tradings::Column::UserId.eq(user.0))
        .filter(tradings::Column::Status.is_in(["active", "paused"]))
}

/// Rows whose trading is not being purged: what a deleted trading held is gone for everybody at once, though the last row
/// goes later.
pub(in crate::resource) fn not_purged<C: ColumnTrait>(trading: C, user: UserId) -> Condition {
    let purged = tradings::Entity::find()
        .select_only()
        .column(tradings::Column::Id)
        .filter(tradings::Column::UserId.eq(user.0))
        .filter(tradings::Column::Status.eq("deleting"))
        .into_query();
    Condition::all().add(trading.not_in_subquery(purged))
}
