//! Releases the holds whose time is over.

use super::{Batch, Disposition, Entry, Source, apply_batch, assert_fresh};
use crate::column;
use crate::error::Result;
use crate::numeric::MoneyColumn;
use crate::retention::may_do_alone;
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::Map;
use sqlx::PgConnection;
use tiris_domain::ids::{AccountId, TradingId, UserId};
use tiris_domain::ledger::{Command, HoldKey, Release};
use uuid::Uuid;

/// The type of the logs.
const LOG_TYPE: &str = "hold_expired";

/// Returns the tradings with expired holds, at most `limit`. The holds of a disabled user wait until the user is enabled.
///
/// # Errors
/// Failures of the database.
pub async fn tradings_with_expired_holds(
    connection: &mut PgConnection,
    limit: u32,
) -> Result<Vec<TradingId>> {
    let ids: Vec<Uuid> = sqlx::query_scalar(
        "SELECT h.trading_id FROM holds h JOIN tradings t ON t.id = h.trading_id JOIN users u ON u.id = t.user_id \
         WHERE h.expires_at <= clock_timestamp() AND t.status IN ('active', 'paused') AND u.status = 'active' \
         GROUP BY h.trading_id ORDER BY min(h.expires_at) LIMIT $1",
    )
    .bind(i64::from(limit))
    .fetch_all(connection)
    .await?;
    Ok(ids.into_iter().map(TradingId).collect())
}

/// Releases the expired holds of a trading, at most `limit`, inside the caller's transaction. Returns the owner and how
/// many; `None` when another worker does it. `seed` is random, for the row ids.
///
/// # Errors
/// Failures of the database.
pub async fn release_expired(
    connection: &mut PgConnection,
    trading: TradingId,
    limit: u32,
    seed: u64,
) -> Result<Option<(UserId, usize)>> {
    if !may_do_alone(connection, &format!("expire holds of {trading}")).await? {
        return Ok(None);
    }
    lock_orders(connection, trading).await?;
    let expired = lock_expired(connection, trading, limit).await?;
    let Some(user) = expired.first().map(|hold| UserId(hold.user_id)) else {
        return Ok(None);
    };

    let entries = expired.into_iter().map(|hold| hold.entry(trading));
    let entries = entries.collect::<Result<Vec<_>>>()?;
    let Batch {
        timestamp,
        dispositions,
    } = apply_batch(connection, &entries, seed).await?;
    assert_fresh(connection, timestamp).await?;

    let released = dispositions
        .iter()
        .filter(|disposition| matches!(disposition, Disposition::Applied(_)));
    Ok(Some((user, released.count())))
}

/// Locks the orders of expired holds, which come before the accounts in the order in which the ledger locks.
async fn lock_orders(connection: &mut PgConnection, trading: TradingId) -> Result<()> {
    sqlx::query(
        "SELECT FROM orders WHERE trading_id = $1 AND order_id IN ( \
             SELECT order_id FROM holds WHERE trading_id = $1 AND expires_at <= clock_timestamp()) \
         ORDER BY id FOR NO KEY UPDATE",
    )
    .bind(trading.0)
    .execute(connection)
    .await?;
    Ok(())
}

/// An expired hold of a locked account.
#[derive(sqlx::FromRow)]
struct ExpiredHold {
    user_id: Uuid,
    sub_account_id: Uuid,
    asset: String,
    order_id: String,
    symbol: String,
    amount: MoneyColumn,
    expires_at: DateTime<Utc>,
}

/// Locks the accounts with expired holds, and then reads these: they may have changed before the lock.
async fn lock_expired(
    connection: &mut PgConnection,
    trading: TradingId,
    limit: u32,
) -> Result<Vec<ExpiredHold>> {
    sqlx::query(
        "SELECT FROM sub_accounts WHERE id IN ( \
             SELECT sub_account_id FROM holds WHERE trading_id = $1 AND expires_at <= clock_timestamp()) \
         AND deleted_at IS NULL ORDER BY id FOR NO KEY UPDATE",
    )
    .bind(trading.0)
    .execute(&mut *connection)
    .await?;

    Ok(sqlx::query_as(
        "SELECT s.user_id, h.sub_account_id, s.symbol AS asset, h.order_id, h.symbol, h.amount, h.expires_at \
         FROM holds h JOIN sub_accounts s ON s.id = h.sub_account_id \
         WHERE h.trading_id = $1 AND h.expires_at <= clock_timestamp() AND s.deleted_at IS NULL \
         ORDER BY h.expires_at, h.sub_account_id, h.order_id, h.symbol LIMIT $2",
    )
    .bind(trading.0)
    .bind(i64::from(limit))
    .fetch_all(connection)
    .await?)
}

impl ExpiredHold {
    fn entry(self, trading: TradingId) -> Result<Entry> {
        let account = AccountId(self.sub_account_id);
        let hold = HoldKey {
            order: self.order_id.parse().ok(),
            pair: column::pair(&self.symbol)?,
        };
        let amount = self.amount.0;
        let asset = self.asset;
        let expiry = self.expires_at.to_rfc3339_opts(SecondsFormat::AutoSi, true);

        Ok(Entry {
            user: UserId(self.user_id),
            trading,
            sub_account: Some(account),
            order: hold.order.clone(),
            command: Command::Release(Release { account, hold }),
            claim: None,
            log_type: LOG_TYPE.to_owned(),
            // The expiry is an order of the bot that locked.
            source: Source::Bot,
            event_time: Some(self.expires_at),
            message: format!("hold of {amount} {asset} expired at {expiry}"),
            info: Map::new(),
        })
    }
}
