//! Exchange bindings as answers show them.

use crate::http::field::Field;
use chrono::{DateTime, Utc};
use poem_openapi::Object;
use serde::Serialize;
use tiris_domain::states::{BindingKind, BindingStatus, ExchangeType};
use tiris_domain::value::Info;
use tiris_store::column;
use tiris_store::entity::exchange_bindings::Model;
use tiris_store::error::{Error, Result};
use uuid::Uuid;

/// An account at an exchange.
#[derive(Object, Serialize)]
pub(super) struct ExchangeBinding {
    id: Uuid,
    /// Unique among your living bindings
    name: String,
    exchange_type: Field<ExchangeType>,
    kind: Field<BindingKind>,
    status: Field<BindingStatus>,
    /// First and last characters of the API key; null for bindings without credentials
    #[oai(nullable)]
    masked_api_key: Option<String>,
    /// When the exchange last said whether the credentials are valid
    #[oai(nullable)]
    last_verified_at: Option<DateTime<Utc>>,
    /// Free JSON
    info: Field<Info>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// All bindings, newest first.
#[derive(Object, Serialize)]
pub(super) struct ExchangeBindingList {
    pub(super) exchange_bindings: Vec<ExchangeBinding>,
}

impl TryFrom<Model> for ExchangeBinding {
    type Error = Error;

    fn try_from(row: Model) -> Result<Self> {
        Ok(Self {
            id: row.id,
            name: row.name,
            exchange_type: Field(column::state(row.exchange_type)?),
            kind: Field(column::state(row.kind)?),
            status: Field(column::state(row.status)?),
            masked_api_key: row.masked_api_key,
            last_verified_at: row.last_verified_at,
            info: Field(Info::from_column(row.info)),
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

/// A binding as tradings show it.
#[derive(Object, Serialize)]
pub(in crate::routes) struct BindingSummary {
    pub(in crate::routes) id: Uuid,
    pub(in crate::routes) name: String,
    pub(in crate::routes) exchange_type: Field<ExchangeType>,
    pub(in crate::routes) kind: Field<BindingKind>,
    pub(in crate::routes) status: Field<BindingStatus>,
}

impl TryFrom<Model> for BindingSummary {
    type Error = Error;

    fn try_from(row: Model) -> Result<Self> {
        Ok(Self {
            id: row.id,
            name: row.name,
            exchange_type: Field(column::state(row.exchange_type)?),
            kind: Field(column::state(row.kind)?),
            status: Field(column::state(row.status)?),
        })
    }
}
