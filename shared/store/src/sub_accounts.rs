//! Sub-accounts: rows and their changes, except for the money, which only the ledger writes.

use crate::by_id::{self, owned};
use crate::column;
use crate::entity::sub_accounts::Model;
use crate::error::{Error, Result};
use crate::ledger::Entry;
use crate::numeric::MoneyColumn;
use sqlx::types::Json;
use sqlx::{PgConnection, PgExecutor};
use std::collections::BTreeSet;
use tiris_domain::ids::{AccountId, TradingId, UserId};
use tiris_domain::ledger::{Asset, OrderId, Pair, Rejected, Rejection};
use tiris_domain::money::Money;
use tiris_domain::value::{Info, Name};
use uuid::Uuid;

/// A sub-account to insert, with a balance of zero.
#[derive(Clone, Debug)]
pub struct NewSubAccount {
    /// Id of the new row.
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

macro_rules! columns {
    () => {
        "id, user_id, trading_id, name, symbol, balance, locked, sequence, deleted_at, info, created_at, updated_at"
    };
}
macro_rules! select {
    ($rest:literal) => {
        concat!("SELECT ", columns!(), " FROM sub_accounts ", $rest)
    };
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
    .bind(Json(&new.info))
    .execute(connection)
    .await?;
    Ok(())
}

/// Returns a living sub-account of a user.
///
/// # Errors
/// [`Error::NotFound`] when it does not exist or belongs to another user.
pub async fn get(executor: impl PgExecutor<'_>, user: UserId, id: AccountId) -> Result<Model> {
    const SQL: &str = select!("WHERE id = $1 AND user_id = $2 AND deleted_at IS NULL");
    owned(executor, "sub-account", id.0, user, SQL).await
}

/// Returns these sub-accounts in the order of `ids`, of any owner and also deleted ones.
pub async fn get_all(connection: &mut PgConnection, ids: &[AccountId]) -> Result<Vec<Model>> {
    Ok(sqlx::query_as(select!(
        "JOIN UNNEST($1::uuid[]) WITH ORDINALITY AS w (id, at) USING (id) ORDER BY w.at"
    ))
    .bind(column::values(ids, |id| id.0))
    .fetch_all(connection)
    .await?)
}

/// Locks a living sub-account of a user until the transaction ends, also against bookings.
///
/// # Errors
/// [`Error::NotFound`] when it does not exist or belongs to another user.
pub async fn lock(connection: &mut PgConnection, user: UserId, id: AccountId) -> Result<Model> {
    const SQL: &str =
        select!("WHERE id = $1 AND user_id = $2 AND deleted_at IS NULL FOR NO KEY UPDATE");
    owned(connection, "sub-account", id.0, user, SQL).await
}

/// Changes name and info of a locked sub-account as far as they are given, and returns it; `None` when nothing changes, and then
/// nothing is written.
pub async fn update(
    connection: &mut PgConnection,
    id: AccountId,
    name: Option<&Name>,
    info: Option<&Info>,
) -> Result<Option<Model>> {
    Ok(sqlx::query_as(concat!(
        "UPDATE sub_accounts SET name = coalesce($2, name), info = coalesce($3, info), \
         updated_at = clock_timestamp() WHERE id = $1 \
         AND (name, info::text) IS DISTINCT FROM (coalesce($2, name), coalesce($3, info)::text) RETURNING ",
        columns!()
    ))
    .bind(id.0)
    .bind(name.map(Name::as_str))
    .bind(info.map(Json))
    .fetch_optional(connection)
    .await?)
}

/// Marks a locked sub-account as deleted; its history stays.
pub async fn delete(connection: &mut PgConnection, id: AccountId) -> Result<()> {
    const SQL: &str = "UPDATE sub_accounts SET deleted_at = clock_timestamp(), updated_at = clock_timestamp() WHERE id = $1";
    by_id::execute(connection, id.0, SQL).await
}

/// Returns what a locked sub-account holds for an order id, by pair; `None` is the hold without an order.
///
/// # Errors
/// [`Error::NotFound`] when there is no such hold.
pub async fn held(
    connection: &mut PgConnection,
    id: AccountId,
    order: Option<&OrderId>,
) -> Result<Vec<(Option<Pair>, Money)>> {
    let rows: Vec<(String, MoneyColumn)> = sqlx::query_as(
        "SELECT symbol, amount FROM holds WHERE sub_account_id = $1 AND order_id = $2 ORDER BY symbol DESC",
    )
    .bind(id.0)
    .bind(order.map_or("", OrderId::as_str))
    .fetch_all(connection)
    .await?;
    if rows.is_empty() {
        return Err(Error::NotFound("hold"));
    }

    let holds = rows.into_iter();
    holds
        .map(|(symbol, amount)| Ok((column::pair(&symbol)?, amount.0)))
        .collect()
}

/// Fails unless the trading and all accounts of `entry` belong to its user: those of others are reported as not found, and
/// the ledger only decides about the user's own.
pub async fn check_owner(connection: &mut PgConnection, entry: &Entry) -> Result<()> {
    let accounts: BTreeSet<AccountId> = entry.accounts().into_iter().collect();
    let ids: Vec<Uuid> = accounts.iter().map(|id| id.0).collect();
    let (trading, owned): (bool, Vec<Uuid>) = sqlx::query_as(
        "SELECT EXISTS (SELECT FROM tradings WHERE id = $1 AND user_id = $2 AND status IN ('active', 'paused')), \
         ARRAY(SELECT id FROM sub_accounts WHERE id = ANY($3) AND user_id = $2 AND deleted_at IS NULL)",
    )
    .bind(entry.trading.0)
    .bind(entry.user.0)
    .bind(&ids)
    .fetch_one(connection)
    .await?;

    if !trading {
        return Err(Error::NotFound("trading"));
    }
    if let Some(missing) = accounts.iter().find(|id| !owned.contains(&id.0)) {
        let rejection = Rejection::UnknownSubAccount;
        return Err(Rejected::of_account(rejection, *missing).into());
    }
    Ok(())
}
