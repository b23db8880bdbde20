//! Sub-accounts: rows and their changes, except for the money, which only the ledger writes.

use crate::column;
use crate::entity::sub_accounts::Model;
use crate::error::{Error, Result};
use crate::ledger::Entry;
use rust_decimal::Decimal;
use sqlx::{PgConnection, PgExecutor};
use std::collections::BTreeSet;
use tiris_domain::ids::{AccountId, TradingId, UserId};
use tiris_domain::ledger::{Asset, OrderId};
use tiris_domain::money::Money;
use tiris_domain::value::{Info, Name};
use uuid::Uuid;

/// A sub-account to insert, with a balance of zero.
#[derive(Clone, Debug)]
pub struct NewSubAccount {
    /// Its id.
    pub id: AccountId,
    /// The owner.
    pub user: UserId,
    /// The trading it belongs to.
    pub trading: TradingId,
    /// Unique among the living sub-accounts of the trading.
    pub name: Name,
    /// The asset.
    pub symbol: Asset,
    /// Free JSON.
    pub info: Info,
}

/// Inserts an empty sub-account.
pub async fn insert(connection: &mut PgConnection, new: &NewSubAccount) -> Result<()> {
    sqlx::query(
        "INSERT INTO sub_accounts (id, user_id, trading_id, name, symbol, info) \
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(new.id.0)
    .bind(new.user.0)
    .bind(new.trading.0)
    .bind(new.name.as_str())
    .bind(new.symbol.as_str())
    .bind(sqlx::types::Json(&new.info))
    .execute(connection)
    .await?;
    Ok(())
}

/// Returns a living sub-account of a user.
///
/// # Errors
/// [`Error::NotFound`] when it does not exist or belongs to another user.
pub async fn get(executor: impl PgExecutor<'_>, user: UserId, id: AccountId) -> Result<Model> {
    let row = sqlx::query_as(
        "SELECT id, user_id, trading_id, name, symbol, balance, locked, sequence, deleted_at, info, \
         created_at, updated_at \
         FROM sub_accounts WHERE id = $1 AND user_id = $2 AND deleted_at IS NULL",
    )
    .bind(id.0)
    .bind(user.0)
    .fetch_optional(executor)
    .await?;
    row.ok_or(Error::NotFound("sub-account"))
}

/// Returns these sub-accounts in the order of `ids`, whatever their owner and state.
pub async fn get_all(connection: &mut PgConnection, ids: &[AccountId]) -> Result<Vec<Model>> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let rows = sqlx::query_as(
        "SELECT a.id, a.user_id, a.trading_id, a.name, a.symbol, a.balance, a.locked, a.sequence, a.deleted_at, \
         a.info, a.created_at, a.updated_at \
         FROM sub_accounts a JOIN UNNEST($1::uuid[]) WITH ORDINALITY AS w (id, at) ON w.id = a.id ORDER BY w.at",
    )
    .bind(ids)
    .fetch_all(connection)
    .await?;
    Ok(rows)
}

/// Locks a living sub-account of a user until the transaction ends, also against everything that books on it.
///
/// # Errors
/// [`Error::NotFound`] when it does not exist or belongs to another user.
pub async fn lock(connection: &mut PgConnection, user: UserId, id: AccountId) -> Result<Model> {
    let row = sqlx::query_as(
        "SELECT id, user_id, trading_id, name, symbol, balance, locked, sequence, deleted_at, info, \
         created_at, updated_at \
         FROM sub_accounts WHERE id = $1 AND user_id = $2 AND deleted_at IS NULL FOR NO KEY UPDATE",
    )
    .bind(id.0)
    .bind(user.0)
    .fetch_optional(connection)
    .await?;
    row.ok_or(Error::NotFound("sub-account"))
}

/// Changes what is given of a locked sub-account, and returns it.
pub async fn update(
    connection: &mut PgConnection,
    id: AccountId,
    name: Option<&Name>,
    info: Option<&Info>,
) -> Result<Model> {
    let row = sqlx::query_as(
        "UPDATE sub_accounts SET name = coalesce($2, name), info = coalesce($3, info), \
         updated_at = clock_timestamp() WHERE id = $1 \
         RETURNING id, user_id, trading_id, name, symbol, balance, locked, sequence, deleted_at, info, \
         created_at, updated_at",
    )
    .bind(id.0)
    .bind(name.map(Name::as_str))
    .bind(info.map(sqlx::types::Json))
    .fetch_one(connection)
    .await?;

    Ok(row)
}

/// Marks a locked sub-account as deleted; its history stays.
pub async fn delete(connection: &mut PgConnection, id: AccountId) -> Result<()> {
    sqlx::query(
        "UPDATE sub_accounts SET deleted_at = clock_timestamp(), updated_at = clock_timestamp() WHERE id = $1",
    )
    .bind(id.0)
    .execute(connection)
    .await?;
    Ok(())
}

/// Returns what an order holds of a locked sub-account.
///
/// # Errors
/// [`Error::NotFound`] when nothing is held for it.
pub async fn held(
    connection: &mut PgConnection,
    id: AccountId,
    order: Option<&OrderId>,
) -> Result<Money> {
    let held: Option<Decimal> =
        sqlx::query_scalar("SELECT amount FROM holds WHERE sub_account_id = $1 AND order_id = $2")
            .bind(id.0)
            .bind(order.map_or("", OrderId::as_str))
            .fetch_optional(connection)
            .await?;
    column::money(held.ok_or(Error::NotFound("hold"))?)
}

/// Fails unless the trading and all accounts of `entry` belong to its user: those of others are reported as not found, so
/// that the ledger only decides how the user's own belong together.
pub async fn check_owner(connection: &mut PgConnection, entry: &Entry) -> Result<()> {
    let accounts = entry
        .command
        .accounts()
        .into_iter()
        .chain(entry.sub_account);
    let accounts: BTreeSet<Uuid> = accounts.map(|id| id.0).collect();
    let accounts = Vec::from_iter(accounts);

    let (trading, owned): (bool, i64) = sqlx::query_as(
        "SELECT EXISTS (SELECT FROM tradings WHERE id = $1 AND user_id = $2 AND status IN ('active', 'paused')), \
         (SELECT count(*) FROM sub_accounts WHERE id = ANY($3) AND user_id = $2 AND deleted_at IS NULL)",
    )
    .bind(entry.trading.0)
    .bind(entry.user.0)
    .bind(&accounts)
    .fetch_one(connection)
    .await?;

    if !trading {
        return Err(Error::NotFound("trading"));
    }
    if usize::try_from(owned) != Ok(accounts.len()) {
        return Err(Error::NotFound("sub-account"));
    }
    Ok(())
}
