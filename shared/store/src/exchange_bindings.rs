//! Exchange bindings: accounts at exchanges. Credentials are encrypted by the caller.

use crate::by_id::{self, Id, owned};
use crate::entity::exchange_bindings::Model;
use crate::error::Result;
use sqlx::types::Json;
use sqlx::{PgConnection, PgExecutor};
use tiris_domain::ids::{BindingId, UserId};
use tiris_domain::states::{BindingStatus, ExchangeType};
use tiris_domain::value::{Info, Name};

const WHAT: &str = "exchange binding";

macro_rules! columns {
    () => {
        "id, user_id, name, exchange_type, kind, api_key_encrypted, api_secret_encrypted, passphrase_encrypted, \
         masked_api_key, key_id, fingerprint, status, last_verified_at, info, created_at, updated_at"
    };
}
macro_rules! select {
    ($rest:literal) => {
        concat!("SELECT ", columns!(), " FROM exchange_bindings ", $rest)
    };
}

/// Encrypted credentials with their displayable parts; all are `None` for a binding without credentials.
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
    /// Keyed hash of the API key, to detect duplicates.
    pub fingerprint: Option<Vec<u8>>,
    /// First and last characters of the API key.
    pub masked_api_key: Option<String>,
}

/// A private binding to insert.
#[derive(Clone, Debug)]
pub struct NewBinding<'a> {
    /// Id of the new row.
    pub id: BindingId,
    /// The owner.
    pub user: UserId,
    /// Unique among the living bindings of the owner.
    pub name: &'a Name,
    /// The exchange that issued the credentials.
    pub exchange_type: ExchangeType,
    /// The encrypted credentials.
    pub credentials: SealedCredentials,
    /// Free JSON.
    pub info: &'a Info,
}

/// Inserts a private binding, and returns it.
pub async fn insert(connection: &mut PgConnection, new: NewBinding<'_>) -> Result<Model> {
    Ok(sqlx::query_as(concat!(
        "INSERT INTO exchange_bindings (id, user_id, name, exchange_type, kind, api_key_encrypted, \
         api_secret_encrypted, passphrase_encrypted, masked_api_key, key_id, fingerprint, info) \
         VALUES ($1, $2, $3, $4, 'private', $5, $6, $7, $8, $9, $10, $11) RETURNING ",
        columns!()
    ))
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
    .await?)
}

/// Returns a living binding that a user may see: their own or a public one.
///
/// # Errors
/// [`NotFound`](crate::error::Error::NotFound) when there is no such binding.
pub async fn get(executor: impl PgExecutor<'_>, user: UserId, id: BindingId) -> Result<Model> {
    const SQL: &str =
        select!("WHERE id = $1 AND (user_id = $2 OR kind = 'public') AND status <> 'deleted'");
    owned(executor, WHAT, id.0, user, SQL).await
}

/// Locks a living binding that a user may see until the transaction ends, also against use by new tradings.
///
/// # Errors
/// [`NotFound`](crate::error::Error::NotFound) when there is no such binding.
pub async fn lock(connection: &mut PgConnection, user: UserId, id: BindingId) -> Result<Model> {
    const SQL: &str = select!(
        "WHERE id = $1 AND (user_id = $2 OR kind = 'public') AND status <> 'deleted' FOR UPDATE"
    );
    owned(connection, WHAT, id.0, user, SQL).await
}

/// Prevents the deletion of a living binding that a user may use for a trading until the transaction ends.
///
/// # Errors
/// [`NotFound`](crate::error::Error::NotFound) when there is no such binding.
pub async fn share(connection: &mut PgConnection, user: UserId, id: BindingId) -> Result<()> {
    const SQL: &str = "SELECT id FROM exchange_bindings \
         WHERE id = $1 AND (user_id = $2 OR kind = 'public') AND status <> 'deleted' FOR KEY SHARE";
    let found = owned(connection, WHAT, id.0, user, SQL).await;
    found.map(|_: Id| ())
}

/// Changes name and info of a locked binding as far as they are given, and returns it; `None` when nothing changes, and then
/// nothing is written. After a change of its credentials the binding is always written, because its time is its version.
pub async fn update(
    connection: &mut PgConnection,
    id: BindingId,
    name: Option<&Name>,
    info: Option<&Info>,
    has_new_credentials: bool,
) -> Result<Option<Model>> {
    Ok(sqlx::query_as(concat!(
        "UPDATE exchange_bindings SET name = coalesce($2, name), info = coalesce($3, info), \
         updated_at = clock_timestamp() WHERE id = $1 \
         AND ($4 OR (name, info::text) IS DISTINCT FROM (coalesce($2, name), coalesce($3, info)::text)) RETURNING ",
        columns!()
    ))
    .bind(id.0)
    .bind(name.map(Name::as_str))
    .bind(info.map(Json))
    .bind(has_new_credentials)
    .fetch_optional(connection)
    .await?)
}

/// Replaces exchange and credentials of a locked binding; a private one becomes unverified.
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
/// was read. A rotation of encryption keys does not change `updated_at`, as the credentials stay the same.
pub async fn set_verified(
    connection: &mut PgConnection,
    verified: &Model,
    status: BindingStatus,
) -> Result<Option<Model>> {
    Ok(sqlx::query_as(concat!(
        "UPDATE exchange_bindings SET status = $3, updated_at = clock_timestamp(), \
         last_verified_at = CASE $3 WHEN 'unverified' THEN last_verified_at ELSE clock_timestamp() END \
         WHERE id = $1 AND updated_at = $2 AND status <> 'deleted' RETURNING ",
        columns!()
    ))
    .bind(verified.id)
    .bind(verified.updated_at)
    .bind(status.as_str())
    .fetch_optional(connection)
    .await?)
}

/// Returns whether a living trading uses a binding.
pub async fn is_used(connection: &mut PgConnection, id: BindingId) -> Result<bool> {
    const SQL: &str = "SELECT EXISTS (SELECT FROM tradings \
         WHERE exchange_binding_id = $1 AND status IN ('active', 'paused'))";
    by_id::scalar(connection, id.0, SQL).await
}

/// Marks a locked binding as deleted and destroys its credentials and its free JSON; the row stays for the tradings of the
/// past.
pub async fn delete(connection: &mut PgConnection, id: BindingId) -> Result<()> {
    const SQL: &str = "UPDATE exchange_bindings SET status = 'deleted', api_key_encrypted = NULL, \
         api_secret_encrypted = NULL, passphrase_encrypted = NULL, masked_api_key = NULL, key_id = NULL, \
         fingerprint = NULL, info = '{}', updated_at = clock_timestamp() WHERE id = $1";
    by_id::execute(connection, id.0, SQL).await
}
