//! Orders and what they hold. Only the ledger writes them.

use crate::by_id::owned;
use crate::entity::orders::Model;
use crate::error::Result;
use crate::numeric::MoneyColumn;
use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgExecutor};
use tiris_domain::ids::{TradingId, UserId};
use tiris_domain::ledger::OrderId;
use uuid::Uuid;

/// A part of a sub-account that is locked for an order.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct OrderHold {
    /// The sub-account.
    pub sub_account_id: Uuid,
    /// Symbol of its asset.
    pub asset: String,
    /// The locked amount.
    pub amount: MoneyColumn,
    /// Id of the event that created the hold.
    pub event_id: Option<String>,
    /// When the hold was created.
    pub created_at: DateTime<Utc>,
    /// When the hold is released by itself.
    pub expires_at: Option<DateTime<Utc>>,
}

/// Returns an order of a user.
///
/// # Errors
/// [`crate::error::Error::NotFound`] when it does not exist, belongs to another user, or its trading is being purged.
pub async fn get(executor: impl PgExecutor<'_>, user: UserId, id: Uuid) -> Result<Model> {
    const SQL: &str = "SELECT id, user_id, trading_id, symbol, order_id, side, type, amount, price, filled, quote_filled, \
         fees, fills, status, accounts, last_lock, last_lock_account, ordinal, first_event_time, last_event_time, info, created_at, \
         updated_at FROM orders o \
         WHERE id = $1 AND user_id = $2 \
         AND NOT EXISTS (SELECT FROM tradings t WHERE t.id = o.trading_id AND t.status = 'deleting')";
    owned(executor, "order", id, user, SQL).await
}

/// Locks the orders of an id, which come before the accounts in the order in which the ledger locks.
pub async fn lock(
    connection: &mut PgConnection,
    trading: TradingId,
    order: Option<&OrderId>,
) -> Result<()> {
    sqlx::query(
        "SELECT FROM orders WHERE trading_id = $1 AND order_id = $2 ORDER BY id FOR NO KEY UPDATE",
    )
    .bind(trading.0)
    .bind(order.map(OrderId::as_str))
    .execute(connection)
    .await?;
    Ok(())
}

/// Returns the holds of an order on all accounts of its trading, newest first and at most `limit`; those of locks that
/// named no pair included.
pub async fn holds(
    executor: impl PgExecutor<'_>,
    order: &Model,
    limit: u32,
) -> Result<Vec<OrderHold>> {
    Ok(sqlx::query_as(
        "SELECT h.sub_account_id, s.symbol AS asset, h.amount, h.event_id, h.created_at, h.expires_at \
         FROM holds h JOIN sub_accounts s ON s.id = h.sub_account_id \
         WHERE h.trading_id = $3 AND h.order_id = $1 AND h.symbol IN ('', $2) \
         ORDER BY h.created_at DESC, h.sub_account_id, h.symbol LIMIT $4",
    )
    .bind(&order.order_id)
    .bind(&order.symbol)
    .bind(order.trading_id)
    .bind(i64::from(limit))
    .fetch_all(executor)
    .await?)
}
