//! The exchange binding in responses.

use super::in_info;
use crate::routes::prelude::*;
use tiris_domain::states::{BindingKind, BindingStatus, ExchangeType};
use tiris_store::entity::exchange_bindings::Model;

/// An exchange binding within a trading.
#[derive(Object, Serialize)]
pub(in crate::routes) struct BindingSummary {
    /// Id of the binding
    id: Uuid,
    /// Name, unique among the owner's bindings that are not deleted
    name: String,
    /// The exchange
    exchange_type: Field<ExchangeType>,
    /// `private` belongs to one user, `public` is shared by all
    kind: Field<BindingKind>,
    /// Whether the exchange accepts the credentials, as of `last_verified_at`
    status: Field<BindingStatus>,
}

/// An account at an exchange.
#[derive(Object, Serialize)]
pub(super) struct ExchangeBinding {
    #[oai(flatten)]
    #[serde(flatten)]
    summary: BindingSummary,
    /// First and last four characters of the API key, such as `vmPU****WFsO`; null without credentials
    #[oai(nullable)]
    masked_api_key: Option<String>,
    /// When the exchange last accepted or refused the credentials
    #[oai(nullable)]
    last_verified_at: Option<DateTime<Utc>>,
    /// Free JSON of the owner, without credentials
    pub(super) info: Field<Info>,
    /// When it was created
    created_at: DateTime<Utc>,
    /// When it was last changed
    updated_at: DateTime<Utc>,
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

impl TryFrom<Model> for ExchangeBinding {
    type Error = Error;

    fn try_from(mut row: Model) -> Result<Self> {
        let mut info = Info::from_column(std::mem::take(&mut row.info));
        in_info::remove(&mut info);

        Ok(Self {
            masked_api_key: row.masked_api_key.take(),
            last_verified_at: row.last_verified_at,
            info: Field(info),
            created_at: row.created_at,
            updated_at: row.updated_at,
            summary: BindingSummary::try_from(row)?,
        })
    }
}
