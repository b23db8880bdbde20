//! Releases expired holds.

use super::{Disposition, Entry, Source, apply_batch, assert_fresh, load, lock};
use crate::column;
use crate::error::Result;
use crate::retention::may_do_alone;
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::Map;
use sqlx::PgConnection;
use tiris_domain::ids::{AccountId, TradingId, UserId};
use tiris_domain::ledger::{Book, Command, HoldKey, Release};
use uuid::Uuid;

/// The type of the logs.
const LOG_TYPE: &str = "hold_expired";

/// Returns the tradings with expired holds after the trading `after`, in order and at most `limit`. The holds of a disabled
/// user wait until the user is enabled.
///
/// # Errors
/// Failures of the database.
pub async fn tradings_with_expired_holds(
    connection: &mut PgConnection,
    after: Option<TradingId>,
    limit: u32,
) -> Result<Vec<TradingId>> {
    let ids: Vec<Uuid> = sqlx::query_scalar(
        "SELECT DISTINCT h.trading_id FROM holds h JOIN tradings t ON t.id = h.trading_id JOIN users u ON u.id = t.user_id \
         WHERE h.expires_at <= clock_timestamp() AND h.trading_id > $1 AND t.status IN ('active', 'paused') \
         AND u.status = 'active' ORDER BY h.trading_id LIMIT $2",
    )
    .bind(after.map_or(Uuid::nil(), |id| id.0))
    .bind(i64::from(limit))
    .fetch_all(connection)
    .await?;
    Ok(ids.into_iter().map(TradingId).collect())
}

/// The expired holds of a trading that a transaction released.
#[derive(Clone, Copy, Debug)]
pub struct Expired {
    /// The owner of the trading.
    pub user: UserId,
    /// The number of released holds.
    pub holds: usize,
}

/// Releases expired holds of a trading, at most `limit`, inside the caller's transaction. Returns `None` when there are none
/// any more, or another worker releases them. `seed` is random, for the row ids.
///
/// # Errors
/// Failures of the database.
pub async fn release_expired(
    connection: &mut PgConnection,
    trading: TradingId,
    limit: u32,
    seed: u64,
) -> Result<Option<Expired>> {
    if !may_do_alone(connection, &format!("expire holds of {trading}")).await? {
        return Ok(None);
    }
    let found = expired(connection, trading, limit).await?;
    let Some(user) = found.first().map(|hold| UserId(hold.user_id)) else {
        return Ok(None);
    };
    let entries = found.iter().map(|hold| hold.entry(trading));
    let mut entries = entries.collect::<Result<Vec<_>>>()?;

    // They may have been changed until they were locked.
    let mut book = lock(connection, entries.iter()).await?;
    load::holds(connection, &mut book, entries.iter()).await?;
    let now: DateTime<Utc> = sqlx::query_scalar("SELECT clock_timestamp()")
        .fetch_one(&mut *connection)
        .await?;
    entries.retain_mut(|entry| describe(entry, &book, now).is_some());

    let batch = apply_batch(connection, &entries, seed).await?;
    assert_fresh(connection, batch.timestamp).await?;
    let released = batch.dispositions.iter();
    let holds = released.filter(|disposition| matches!(disposition, Disposition::Applied(_)));
    Ok(Some(Expired {
        user,
        holds: holds.count(),
    }))
}

/// An expired hold that is not locked yet.
#[derive(sqlx::FromRow)]
struct ExpiredHold {
    user_id: Uuid,
    sub_account_id: Uuid,
    order_id: String,
    symbol: String,
}

async fn expired(
    connection: &mut PgConnection,
    trading: TradingId,
    limit: u32,
) -> Result<Vec<ExpiredHold>> {
    Ok(sqlx::query_as(
        "SELECT s.user_id, h.sub_account_id, h.order_id, h.symbol \
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
    /// Returns the entry that releases the hold, without a message.
    fn entry(&self, trading: TradingId) -> Result<Entry> {
        let account = AccountId(self.sub_account_id);
        let hold = HoldKey {
            order: self.order_id.parse().ok(),
            pair: column::pair(&self.symbol)?,
        };

        Ok(Entry {
            user: UserId(self.user_id),
            trading,
            sub_account: Some(account),
            order: hold.order.clone(),
            command: Command::Release(Release { account, hold }),
            claim: None,
            log_type: LOG_TYPE.to_owned(),
            // The bot has asked for the release when it locked the amount.
            source: Source::Bot,
            event_time: None,
            message: String::new(),
            info: Map::new(),
        })
    }
}

/// Says in the message what is released; `None` when the hold is not expired any more.
fn describe(entry: &mut Entry, book: &Book, now: DateTime<Utc>) -> Option<()> {
    let Command::Release(release) = &entry.command else {
        return None;
    };
    let account = book.get(release.account)?;
    let held = account.held(&release.hold);
    let expires_at = held.expires_at.filter(|at| *at <= now)?;

    let expiry = expires_at.to_rfc3339_opts(SecondsFormat::AutoSi, true);
    let asset = &account.asset;
    entry.message = format!("hold of {} {asset} expired at {expiry}", held.amount);
    Some(())
}
