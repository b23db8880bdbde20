//! Exchange bindings: accounts at exchanges. Credentials come here encrypted only.

use crate::entity::exchange_bindings::Model;
use crate::error::{Error, Result};
use sqlx::types::Json;
use sqlx::{PgConnection, PgExecutor};
use tiris_domain::ids::{BindingId, UserId};
use tiris_domain::states::{BindingStatus, ExchangeType};
use tiris_domain::value::{Info, Name};

/// Encrypted credentials, and what can be shown of them; all are `None` for a binding without credentials.
#[derive(Clone, Debug, Default)]
pub struct SealedCredentials {
    /// The API key, encrypted.
    pub api_key: Option<Vec<u8>>,
    /// The API secret, encrypted.
    pub api_secret: Option<Vec<u8>>,
    /// The passphrase, encrypted.
    pub passphrase: Option<Vec<u8>>,
    /// The id of the encryption key.
    pub key_id: Option<String>,
    /// Keyed hash of the API key, to find the same one again.
    pub fingerprint: Option<Vec<u8>>,
    /// First and last characters of the API key.
    pub masked_api_key: Option<String>,
}

/// A private binding to insert.
#[derive(Clone, Debug)]
pub struct NewBinding<'a> {
    /// Its id.
    pub id: BindingId,
    /// The owner.
    pub user: UserId,
    /// Unique among the living bindings of the owner.
    pub name: &'a Name,
    /// The exchange.
    pub exchange_type: ExchangeType,
    /// The credentials.
    pub credentials: SealedCredentials,
    /// Free JSON.
    pub info: &'a Info,
}

/// Inserts a private binding, and returns it.
pub async fn insert(connection: &mut PgConnection, new: NewBinding<'_>) -> Result<Model> {
    let row = sqlx::query_as(
        "INSERT INTO exchange_bindings (id, user_id, name, exchange_type, kind, api_key_encrypted, \
         api_secret_encrypted, passphrase_encrypted, masked_api_key, key_id, fingerprint, info) \
         VALUES ($1, $2, $3, $4, 'private', $5, $6, $7, $8, $9, $10, $11) \
         RETURNING id, user_id, name, exchange_type, kind, api_key_encrypted, api_secret_encrypted, \
         passphrase_encrypted, masked_api_key, key_id, fingerprint, status, last_verified_at, info, created_at, \
         updated_at",
    )
    .bind(new.id.0)
    .bind(new.user.0)
    .bind(new.name.as_str())
    .bind(new.exchange_type.as_str())
    .bind(new.credentials.api_key)
    .bind(new.credentials.api_secret)
    .bind(new.credentials.passphrase)
    .bind(new.credentials.masked_api_key)
    .bind(new.credentials.key_id)
    .bind(new.credentials.fingerprint)
    .bind(Json(new.info))
    .fetch_one(connection)
    .await?;

    Ok(row)
}

/// Returns a living binding that a user may see: their own or a public one.
///
/// # Errors
/// [`Error::NotFound`] when there is no such binding.
pub async fn get(executor: impl PgExecutor<'_>, user: UserId, id: BindingId) -> Result<Model> {
    let row = sqlx::query_as(
        "SELECT id, user_id, name, exchange_type, kind, api_key_encrypted, api_secret_encrypted, \
         passphrase_encrypted, masked_api_key, key_id, fingerprint, status, last_verified_at, info, created_at, \
         updated_at \
         FROM exchange_bindings WHERE id = $1 AND (user_id = $2 OR kind = 'public') AND status <> 'deleted'",
    )
    .bind(id.0)
    .bind(user.0)
    .fetch_optional(executor)
    .await?;
    row.ok_or(Error::NotFound("exchange binding"))
}

/// Locks a living binding that a user may see until the transaction ends, also against tradings that begin to use it.
///
/// # Errors
/// [`Error::NotFound`] when there is no such binding.
pub async fn lock(connection: &mut PgConnection, user: UserId, id: BindingId) -> Result<Model> {
    let row = sqlx::query_as(
        "SELECT id, user_id, name, exchange_type, kind, api_key_encrypted, api_secret_encrypted, \
         passphrase_encrypted, masked_api_key, key_id, fingerprint, status, last_verified_at, info, created_at, \
         updated_at \
         FROM exchange_bindings WHERE id = $1 AND (user_id = $2 OR kind = 'public') AND status <> 'deleted' \
         FOR UPDATE",
    )
    .bind(id.0)
    .bind(user.0)
    .fetch_optional(connection)
    .await?;
    row.ok_or(Error::NotFound("exchange binding"))
}

/// Keeps a living binding that a user may use for a trading from being deleted until the transaction ends.
///
/// # Errors
/// [`Error::NotFound`] when there is no such binding.
pub async fn share(connection: &mut PgConnection, user: UserId, id: BindingId) -> Result<()> {
    let usable = sqlx::query(
        "SELECT id FROM exchange_bindings \
         WHERE id = $1 AND (user_id = $2 OR kind = 'public') AND status <> 'deleted' FOR KEY SHARE",
    )
    .bind(id.0)
    .bind(user.0)
    .fetch_optional(connection)
    .await?;
    usable.map(drop).ok_or(Error::NotFound("exchange binding"))
}

/// Changes what is given of a locked binding, and returns it.
pub async fn update(
    connection: &mut PgConnection,
    id: BindingId,
    name: Option<&Name>,
    info: Option<&Info>,
) -> Result<Model> {
    let row = sqlx::query_as(
        "UPDATE exchange_bindings SET name = coalesce($2, name), info = coalesce($3, info), \
         updated_at = clock_timestamp() WHERE id = $1 \
         RETURNING id, user_id, name, exchange_type, kind, api_key_encrypted, api_secret_encrypted, \
         passphrase_encrypted, masked_api_key, key_id, fingerprint, status, last_verified_at, info, created_at, \
         updated_at",
    )
    .bind(id.0)
    .bind(name.map(Name::as_str))
    .bind(info.map(Json))
    .fetch_one(connection)
    .await?;

    Ok(row)
}

/// Replaces exchange and credentials of a locked binding; a private one is unverified then.
pub async fn replace_credentials(
    connection: &mut PgConnection,
    id: BindingId,
    exchange_type: ExchangeType,
    sealed: SealedCredentials,
) -> Result<()> {
    sqlx::query(
        "UPDATE exchange_bindings SET exchange_type = $2, api_key_encrypted = $3, api_secret_encrypted = $4, \
         passphrase_encrypted = $5, masked_api_key = $6, key_id = $7, fingerprint = $8, \
         status = CASE kind WHEN 'public' THEN status ELSE 'unverified' END, last_verified_at = NULL WHERE id = $1",
    )
    .bind(id.0)
    .bind(exchange_type.as_str())
    .bind(sealed.api_key)
    .bind(sealed.api_secret)
    .bind(sealed.passphrase)
    .bind(sealed.masked_api_key)
    .bind(sealed.key_id)
    .bind(sealed.fingerprint)
    .execute(connection)
    .await?;

    Ok(())
}

/// Stores the result of a verification, and returns the binding; `None` when it was changed or deleted since `verified`
/// was read. A rotation of keys leaves `updated_at` alone, and what was verified stays verified.
pub async fn set_verified(
    connection: &mut PgConnection,
    verified: &Model,
    status: BindingStatus,
) -> Result<Option<Model>> {
    let row = sqlx::query_as(
        "UPDATE exchange_bindings SET status = $3, updated_at = clock_timestamp(), \
         last_verified_at = CASE $3 WHEN 'unverified' THEN last_verified_at ELSE clock_timestamp() END \
         WHERE id = $1 AND updated_at = $2 AND status <> 'deleted' \
         RETURNING id, user_id, name, exchange_type, kind, api_key_encrypted, api_secret_encrypted, \
         passphrase_encrypted, masked_api_key, key_id, fingerprint, status, last_verified_at, info, created_at, \
         updated_at",
    )
    .bind(verified.id)
    .bind(verified.updated_at)
    .bind(status.as_str())
    .fetch_optional(connection)
    .await?;

    Ok(row)
}

/// Returns whether a living trading uses a binding.
pub async fn is_used(connection: &mut PgConnection, id: BindingId) -> Result<bool> {
    let used = sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM tradings WHERE exchange_binding_id = $1 AND status IN ('active', 'paused'))",
    )
    .bind(id.0)
    .fetch_one(connection)
    .await?;
    Ok(used)
}

/// Marks a locked binding as deleted and destroys its credentials; the row stays for the tradings of the past.
pub async fn delete(connection: &mut PgConnection, id: BindingId) -> Result<()> {
    sqlx::query(
        "UPDATE exchange_bindings SET status = 'deleted', api_key_encrypted = NULL, api_secret_encrypted = NULL, \
         passphrase_encrypted = NULL, masked_api_key = NULL, key_id = NULL, fingerprint = NULL, \
         updated_at = clock_timestamp() WHERE id = $1",
    )
    .bind(id.0)
    .execute(connection)
    .await?;
    Ok(())
}
