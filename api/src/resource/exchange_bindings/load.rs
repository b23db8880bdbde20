//! Finds bindings: who may see one, and who may change it.

use crate::entities::Entities;
use sea_orm::{ColumnTrait, Condition, EntityTrait, FromQueryResult, QueryFilter};
use sqlx::{PgConnection, Row};
use tiris_domain::ids::{BindingId, UserId};
use tiris_store::entity::exchange_bindings::{Column, Entity, Model};
use tiris_store::error::{Error, Result};
use uuid::Uuid;

/// The living binding of the user, or a public one.
pub(super) async fn visible(db: &Entities, id: BindingId, user: UserId) -> Result<Model> {
    let mine = Condition::any()
        .add(Column::UserId.eq(user.0))
        .add(Column::Kind.eq("public"));
    let row = Entity::find_by_id(id.0)
        .filter(mine)
        .filter(Column::Status.ne("deleted"))
        .one(db)
        .await?;
    row.ok_or(Error::NotFound("exchange binding"))
}

/// The same as the running transaction has it.
pub(super) async fn visible_within(
    connection: &mut PgConnection,
    id: BindingId,
    user: UserId,
) -> Result<Model> {
    let row = sqlx::query(
        "SELECT id, user_id, name, exchange_type, kind, api_key_encrypted, api_secret_encrypted, passphrase_encrypted, \
         masked_api_key, key_id, fingerprint, status, last_verified_at, info, created_at, updated_at \
         FROM exchange_bindings WHERE id = $1 AND (user_id = $2 OR kind = 'public') AND status <> 'deleted'",
    )
    .bind(id.0)
    .bind(user.0)
    .fetch_optional(connection)
    .await?
    .ok_or(Error::NotFound("exchange binding"))?;
    Ok(Model::from_query_result(&row.into(), "")?)
}

/// The same, for a change: locked until the transaction ends, also against tradings that begin to use it, and only for
/// those who may change it.
pub(super) async fn locked(
    connection: &mut PgConnection,
    id: BindingId,
    user: UserId,
    is_admin: bool,
) -> Result<Model> {
    let row = sqlx::query(
        "SELECT id, user_id, name, exchange_type, kind, api_key_encrypted, api_secret_encrypted, passphrase_encrypted, \
         masked_api_key, key_id, fingerprint, status, last_verified_at, info, created_at, updated_at \
         FROM exchange_bindings WHERE id = $1 AND (user_id = $2 OR kind = 'public') AND status <> 'deleted' \
         FOR UPDATE",
    )
    .bind(id.0)
    .bind(user.0)
    .fetch_optional(connection)
    .await?
    .ok_or(Error::NotFound("exchange binding"))?;
    let is_public = row.try_get::<&str, _>("kind")? == "public";
    if is_public && !is_admin {
        return Err(Error::AccessDenied(
            "a public binding is changed by admins only",
        ));
    }
    Ok(Model::from_query_result(&row.into(), "")?)
}

/// That the user may use a binding for a trading: it lives, and is his own or public. Locked, so that it cannot be deleted
/// before the trading uses it.
pub(in crate::resource) async fn lock_usable(
    connection: &mut PgConnection,
    user: UserId,
    id: BindingId,
) -> Result<()> {
    let usable: Option<Uuid> = sqlx::query_scalar(
        "SELECT id FROM exchange_bindings \
         WHERE id = $1 AND (user_id = $2 OR kind = 'public') AND status <> 'deleted' FOR KEY SHARE",
    )
    .bind(id.0)
    .bind(user.0)
    .fetch_optional(connection)
    .await?;
    usable.map(drop).ok_or(Error::NotFound("exchange binding"))
}
