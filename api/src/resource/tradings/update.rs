//! Changes a trading.

use super::object::{Trading, TradingStatus};
use crate::fields::{Fields, FromFields};
use crate::ledger::Work;
use crate::resource::NAME_LENGTH_MAX;
use crate::resource::exchange_bindings::lock_usable;
use crate::value::Info;
use crate::version::IfMatch;
use poem_openapi::Object;
use poem_openapi::types::Example;
use serde_json::Value;
use sqlx::PgConnection;
use tiris_domain::ids::{BindingId, TradingId, UserId};
use tiris_store::error::{Error, Result};
use uuid::Uuid;

/// What is to be changed; what is absent or null stays.
#[derive(Object)]
#[oai(example, skip_serializing_if_is_none)]
pub(super) struct TradingChange {
    /// Unique among your living tradings
    #[oai(validator(min_length = 1, max_length = 128))]
    name: Option<String>,
    /// Whether a bot shall work on it
    status: Option<TradingStatus>,
    /// A binding of yours or a public one
    exchange_binding_id: Option<Uuid>,
    /// Free JSON that replaces what is there, at most 16 KiB
    info: Option<Info>,
}

impl Example for TradingChange {
    fn example() -> Self {
        let (name, status) = (
            Some("ETH grid, slow".to_owned()),
            Some(TradingStatus::Paused),
        );
        Self {
            name,
            status,
            exchange_binding_id: None,
            info: Some(Info::default()),
        }
    }
}

impl FromFields for TradingChange {
    fn from_fields(fields: &mut Fields) -> Result<Self> {
        Ok(Self {
            name: fields.text("name", 1, NAME_LENGTH_MAX)?,
            status: fields.one_of("status", &TradingStatus::NAMES)?,
            exchange_binding_id: fields.uuid("exchange_binding_id")?,
            info: fields.new_info()?,
        })
    }
}

/// The transaction that changes a trading.
pub(super) struct UpdateWork<'a> {
    pub(super) user: UserId,
    pub(super) id: TradingId,
    pub(super) seen: IfMatch,
    pub(super) change: &'a TradingChange,
}

impl Work for UpdateWork<'_> {
    type Output = Trading;

    async fn run(&self, connection: &mut PgConnection) -> Result<Trading> {
        self.lock(connection).await?;
        self.seen
            .check(Trading::load_within(connection, self.id))
            .await?;
        if let Some(binding) = self.change.exchange_binding_id {
            lock_usable(connection, self.user, BindingId(binding)).await?;
        }
        sqlx::query(
            "UPDATE tradings SET name = coalesce($2, name), status = coalesce($3, status), \
             exchange_binding_id = coalesce($4, exchange_binding_id), info = coalesce($5, info), \
             updated_at = clock_timestamp() WHERE id = $1",
        )
        .bind(self.id.0)
        .bind(&self.change.name)
        .bind(self.change.status.map(TradingStatus::stored))
        .bind(self.change.exchange_binding_id)
        .bind(
            self.change
                .info
                .as_ref()
                .map(|info| Value::Object(info.0.clone())),
        )
        .execute(&mut *connection)
        .await?;
        Trading::load_within(connection, self.id).await
    }
}

impl UpdateWork<'_> {
    /// Locks the living trading of the caller until the transaction ends.
    async fn lock(&self, connection: &mut PgConnection) -> Result<()> {
        let found: Option<Uuid> = sqlx::query_scalar(
            "SELECT id FROM tradings WHERE id = $1 AND user_id = $2 AND status IN ('active', 'paused') \
             FOR NO KEY UPDATE",
        )
        .bind(self.id.0)
        .bind(self.user.0)
        .fetch_optional(connection)
        .await?;
        found.map(drop).ok_or(Error::NotFound("trading"))
    }
}
