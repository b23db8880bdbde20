//! Exchange bindings: accounts at exchanges, private ones with credentials and public ones without.

use super::refusals::Filtered;
use super::{Tag, stored};
use crate::auth::Caller;
use crate::envelope::{Answer, Reply};
use crate::filter::containing;
use crate::state::State;
use crate::value::Info;
use chrono::{DateTime, Utc};
use poem::web::Data;
use poem_openapi::param::Query;
use poem_openapi::{Enum, Object, OpenApi};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder};
use serde::Serialize;
use tiris_shared::entity::exchange_bindings::{Column, Entity, Model};
use tiris_shared::error::{Error, Result};
use uuid::Uuid;

/// Operations on exchange bindings.
pub(crate) struct ExchangeBindings;

/// Which exchange.
#[derive(Clone, Copy, Enum, Serialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub(super) enum ExchangeType {
    Binance,
    Kraken,
    Gate,
    Coinbase,
    Okx,
    Virtual,
}

/// Whose binding it is.
#[derive(Clone, Copy, Enum, Serialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub(super) enum BindingKind {
    /// One user's, with credentials.
    Private,
    /// Everybody's, for paper and backtest tradings.
    Public,
}

/// What the exchange said about the credentials.
#[derive(Clone, Copy, Enum, Serialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub(super) enum BindingStatus {
    Unverified,
    Valid,
    Refused,
    Deleted,
}

/// An account at an exchange.
#[derive(Object, Serialize)]
struct ExchangeBinding {
    id: Uuid,
    name: String,
    exchange_type: ExchangeType,
    kind: BindingKind,
    status: BindingStatus,
    /// First and last characters of the API key; null for public bindings
    #[oai(nullable)]
    masked_api_key: Option<String>,
    /// When the exchange was last asked
    #[oai(nullable)]
    last_verified_at: Option<DateTime<Utc>>,
    /// Free JSON
    info: Info,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// All bindings, newest first.
#[derive(Object, Serialize)]
struct ExchangeBindingList {
    exchange_bindings: Vec<ExchangeBinding>,
}

impl ExchangeBinding {
    fn from_row(row: Model) -> Result<Self> {
        Ok(Self {
            id: row.id,
            name: row.name,
            exchange_type: stored(&row.exchange_type)?,
            kind: stored(&row.kind)?,
            status: stored(&row.status)?,
            masked_api_key: row.masked_api_key,
            last_verified_at: row.last_verified_at,
            info: Info::from_column(row.info),
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

/// A binding as tradings show it.
#[derive(Object, Serialize)]
pub(super) struct BindingSummary {
    id: Uuid,
    name: String,
    exchange_type: ExchangeType,
    kind: BindingKind,
    status: BindingStatus,
}

impl BindingSummary {
    pub(super) fn from_row(row: &Model) -> Result<Self> {
        Ok(Self {
            id: row.id,
            name: row.name.clone(),
            exchange_type: stored(&row.exchange_type)?,
            kind: stored(&row.kind)?,
            status: stored(&row.status)?,
        })
    }
}

#[OpenApi(prefix_path = "/v1/exchange-bindings", tag = "Tag::ExchangeBindings")]
impl ExchangeBindings {
    /// The bindings everybody may use
    #[oai(path = "/public", method = "get", operation_id = "listPublicExchangeBindings")]
    async fn public(
        &self,
        _caller: Caller,
        state: Data<&State>,
        /// JSON object the `info` of a binding must contain
        info: Query<Option<String>>,
    ) -> Answer<ExchangeBindingList, Filtered> {
        let rows = Entity::find()
            .filter(Column::Kind.eq("public"))
            .filter(Column::Status.ne("deleted"))
            .filter(containing(Column::Info, info.0.as_deref())?)
            .order_by_desc(Column::CreatedAt)
            .order_by_desc(Column::Id)
            .all(&state.db)
            .await
            .map_err(Error::from)?;
        let exchange_bindings = rows.into_iter().map(ExchangeBinding::from_row).collect::<Result<_>>()?;
        Ok(Reply::new(ExchangeBindingList { exchange_bindings }))
    }
}
