//! Tradings: their rows and changes; `removal` deletes and purges them.

mod removal;

pub use removal::{Deleted, Purged, delete, purge_some, waiting_to_be_purged};

use crate::by_id::{self, Id, owned};
use crate::entity::exchange_bindings;
use crate::entity::tradings::Model;
use crate::error::Result;
use chrono::{DateTime, Utc};
use sqlx::types::Json;
use sqlx::{PgConnection, PgExecutor};
use tiris_domain::ids::{BindingId, TradingId, UserId};
use tiris_domain::states::{TradingStatus, TradingType};
use tiris_domain::value::{Info, Name};

const WHAT: &str = "trading";

/// The columns of a [`Model`].
macro_rules! columns {
    () => {
        "id, user_id, exchange_binding_id, name, type, status, info, created_at, updated_at"
    };
}

/// A trading to insert.
#[derive(Clone, Debug)]
pub struct NewTrading<'a> {
    /// Id of the new row.
    pub id: TradingId,
    /// The owner.
    pub user: UserId,
    /// The exchange binding the trading uses.
    pub binding: Option<BindingId>,
    /// Unique among the living tradings of the user.
    pub name: &'a Name,
    /// Whether it moves real money.
    pub kind: TradingType,
    /// Free JSON.
    pub info: &'a Info,
}

/// Inserts a trading, and returns it.
pub async fn insert(connection: &mut PgConnection, new: &NewTrading<'_>) -> Result<Model> {
    Ok(sqlx::query_as(concat!(
        "INSERT INTO tradings (id, user_id, exchange_binding_id, name, type, info) \
         VALUES ($1, $2, $3, $4, $5, $6) RETURNING ",
        columns!()
    ))
    .bind(new.id.0)
    .bind(new.user.0)
    .bind(new.binding.map(|binding| binding.0))
    .bind(new.name.as_str())
    .bind(new.kind.as_str())
    .bind(Json(new.info))
    .fetch_one(connection)
    .await?)
}

/// Changes of a trading; a field that is `None` stays.
#[derive(Clone, Debug, Default)]
pub struct TradingUpdate {
    /// Unique among the living tradings of the user.
    pub name: Option<Name>,
    /// Whether a bot may work on the trading.
    pub status: Option<TradingStatus>,
    /// The exchange binding the trading uses.
    pub binding: Option<BindingId>,
    /// Free JSON.
    pub info: Option<Info>,
}

/// Locks a living trading of a user until the transaction ends.
///
/// # Errors
/// [`NotFound`](crate::error::Error::NotFound) when it does not exist or belongs to another user.
pub async fn lock(connection: &mut PgConnection, user: UserId, id: TradingId) -> Result<Model> {
    const SQL: &str = concat!(
        "SELECT ",
        columns!(),
        " FROM tradings WHERE id = $1 AND user_id = $2 AND status IN ('active', 'paused') FOR NO KEY UPDATE"
    );
    owned(connection, WHAT, id.0, user, SQL).await
}

/// Changes a locked trading, and returns it; `None` when nothing changes, and then nothing is written.
pub async fn update(
    connection: &mut PgConnection,
    id: TradingId,
    update: &TradingUpdate,
) -> Result<Option<Model>> {
    Ok(sqlx::query_as(concat!(
        "UPDATE tradings SET name = coalesce($2, name), status = coalesce($3, status), \
         exchange_binding_id = coalesce($4, exchange_binding_id), info = coalesce($5, info), \
         updated_at = clock_timestamp() WHERE id = $1 \
         AND (name, status, exchange_binding_id, info::text) IS DISTINCT FROM \
         (coalesce($2, name), coalesce($3, status), coalesce($4, exchange_binding_id), coalesce($5, info)::text) \
         RETURNING ",
        columns!()
    ))
    .bind(id.0)
    .bind(update.name.as_ref().map(Name::as_str))
    .bind(update.status.map(TradingStatus::as_str))
    .bind(update.binding.map(|binding| binding.0))
    .bind(update.info.as_ref().map(Json))
    .fetch_optional(connection)
    .await?)
}

/// Returns the exchange binding of a trading.
pub async fn binding_of(
    connection: &mut PgConnection,
    trading: &Model,
) -> Result<Option<exchange_bindings::Model>> {
    let Some(binding) = trading.exchange_binding_id else {
        return Ok(None);
    };

    Ok(sqlx::query_as(
        "SELECT id, user_id, name, exchange_type, kind, api_key_encrypted, api_secret_encrypted, passphrase_encrypted, \
         masked_api_key, key_id, fingerprint, status, last_verified_at, info, created_at, updated_at \
         FROM exchange_bindings WHERE id = $1",
    )
    .bind(binding)
    .fetch_optional(connection)
    .await?)
}

/// Fails unless a user has this living trading.
///
/// # Errors
/// [`NotFound`](crate::error::Error::NotFound) when it does not exist or belongs to another user.
pub async fn check_living(
    executor: impl PgExecutor<'_>,
    user: UserId,
    id: TradingId,
) -> Result<()> {
    const SQL: &str =
        "SELECT id FROM tradings WHERE id = $1 AND user_id = $2 AND status IN ('active', 'paused')";
    let found = owned(executor, WHAT, id.0, user, SQL).await;
    found.map(|_: Id| ())
}

/// Returns when an account of a trading last changed. Every booking changes one, so nothing was booked since.
pub async fn last_change(
    executor: impl PgExecutor<'_>,
    id: TradingId,
) -> Result<Option<DateTime<Utc>>> {
    const SQL: &str = "SELECT max(updated_at) FROM sub_accounts WHERE trading_id = $1";
    by_id::scalar(executor, id.0, SQL).await
}

/// Prevents the deletion of a living trading of a user until the transaction ends.
///
/// # Errors
/// [`NotFound`](crate::error::Error::NotFound) when it does not exist or belongs to another user.
pub async fn share(connection: &mut PgConnection, user: UserId, id: TradingId) -> Result<()> {
    const SQL: &str = "SELECT id FROM tradings \
         WHERE id = $1 AND user_id = $2 AND status IN ('active', 'paused') FOR SHARE";
    let found = owned(connection, WHAT, id.0, user, SQL).await;
    found.map(|_: Id| ())
}

/// Fails unless a user may read the history of a trading: that of a real one stays readable after its deletion.
///
/// # Errors
/// [`NotFound`](crate::error::Error::NotFound) when it does not exist, belongs to another user or is being purged.
pub async fn check_readable(
    executor: impl PgExecutor<'_>,
    user: UserId,
    id: TradingId,
) -> Result<()> {
    const SQL: &str =
        "SELECT id FROM tradings WHERE id = $1 AND user_id = $2 AND status <> 'deleting'";
    let found = owned(executor, WHAT, id.0, user, SQL).await;
    found.map(|_: Id| ())
}
