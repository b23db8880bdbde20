//! Tradings that are given up: gone at once for everybody, then emptied piece by piece.
//!
//! Owns: what a deletion does to rows, which locks it takes in which order, and what a purge leaves. Must not know: who
//! asks, when it is time.

use crate::error::{Conflict, Error, Result};
use crate::retention::may_do_alone;
use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use tiris_domain::ids::{TradingId, UserId};
use tiris_domain::states::{TradingStatus, TradingType};
use uuid::Uuid;

/// A trading that is deleted now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deleted {
    /// The name it had.
    pub name: String,
    /// Where it traded.
    pub kind: TradingType,
}

impl Deleted {
    /// Whether all it held is to be purged; the history of a real trading is kept.
    #[must_use]
    pub fn is_purged(&self) -> bool {
        self.kind != TradingType::Real
    }
}

#[derive(sqlx::FromRow)]
struct LivingTrading {
    name: String,
    #[sqlx(rename = "type", try_from = "String")]
    kind: TradingType,
}

/// Deletes a living trading of the user with its accounts. Nothing is booked on it any more once this commits: whoever
/// books holds one of its accounts or, without an account, the trading itself, and is waited for here.
///
/// # Errors
/// [`Error::NotFound`], and [`Conflict::TradingNotEmpty`] for a real trading that holds money.
pub async fn delete(connection: &mut PgConnection, user: UserId, id: TradingId) -> Result<Deleted> {
    let missing = || Error::NotFound("trading");
    let owned: bool = sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM tradings WHERE id = $1 AND user_id = $2 AND status IN ('active', 'paused'))",
    )
    .bind(id.0)
    .bind(user.0)
    .fetch_one(&mut *connection)
    .await?;
    if !owned {
        return Err(missing());
    }

    // Accounts before the trading, as the ledger takes them.
    lock_accounts(connection, id).await?;
    let trading: Option<LivingTrading> = sqlx::query_as(
        "SELECT name, type FROM tradings WHERE id = $1 AND status IN ('active', 'paused') FOR UPDATE",
    )
    .bind(id.0)
    .fetch_optional(&mut *connection)
    .await?;
    let LivingTrading { name, kind } = trading.ok_or_else(missing)?;
    let deleted = Deleted { name, kind };

    // Some may have been made before the trading was locked; none can be made now.
    let holds_money = lock_accounts(connection, id).await?;
    if holds_money && !deleted.is_purged() {
        return Err(Error::Conflict(Conflict::TradingNotEmpty));
    }

    mark_deleted(connection, id, &deleted).await?;
    Ok(deleted)
}

async fn mark_deleted(
    connection: &mut PgConnection,
    id: TradingId,
    deleted: &Deleted,
) -> Result<()> {
    let status = if deleted.is_purged() {
        TradingStatus::Deleting
    } else {
        TradingStatus::Deleted
    };
    sqlx::query("UPDATE tradings SET status = $2, updated_at = clock_timestamp() WHERE id = $1")
        .bind(id.0)
        .bind(status.as_str())
        .execute(&mut *connection)
        .await?;

    let accounts = "UPDATE sub_accounts SET deleted_at = clock_timestamp(), updated_at = clock_timestamp() \
         WHERE trading_id = $1 AND deleted_at IS NULL";
    execute_all(connection, id, [accounts, FORGET_BOTS]).await
}

/// What a bot last said is no history. A bot that goes on shows up again, which is true.
const FORGET_BOTS: &str = "DELETE FROM bots WHERE trading_id = $1 AND user_id = (SELECT user_id FROM tradings WHERE id = $1)";

async fn execute_all(
    connection: &mut PgConnection,
    id: TradingId,
    statements: [&'static str; 2],
) -> Result<()> {
    for statement in statements {
        sqlx::query(statement)
            .bind(id.0)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// Locks the living accounts of a trading in id order; answers whether one of them holds money.
async fn lock_accounts(connection: &mut PgConnection, id: TradingId) -> Result<bool> {
    let holds_money = sqlx::query_scalar(
        "SELECT coalesce(bool_or(balance <> 0), false) FROM ( \
             SELECT balance FROM sub_accounts WHERE trading_id = $1 AND deleted_at IS NULL ORDER BY id \
             FOR NO KEY UPDATE) AS locked",
    )
    .bind(id.0)
    .fetch_one(connection)
    .await?;
    Ok(holds_money)
}

/// How far a purge came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purged {
    /// There is more.
    Some,
    /// All is gone, the trading too.
    All,
    /// Nothing was to be done: it is gone already, or somebody else is at it.
    Nothing,
}

/// A table of the history of a trading. The rows of one moment were booked together and go together, so that a piece is
/// found by index whatever it joins with. The end is asked for first, because a plan for an end that is not known reads
/// whole partitions.
struct HistoryPiece {
    /// Where a piece ends.
    end: &'static str,
    /// Removes it.
    removal: &'static str,
}

/// The history of a trading, in the order it goes.
const HISTORY: [HistoryPiece; 2] = [
    HistoryPiece {
        end: "SELECT timestamp FROM transactions WHERE trading_id = $1 ORDER BY timestamp OFFSET $2 - 1 LIMIT 1",
        removal: "DELETE FROM transactions WHERE trading_id = $1 AND timestamp <= coalesce($2::timestamptz, 'infinity')",
    },
    HistoryPiece {
        end: "SELECT timestamp FROM trading_logs WHERE trading_id = $1 ORDER BY timestamp OFFSET $2 - 1 LIMIT 1",
        removal: "DELETE FROM trading_logs WHERE trading_id = $1 AND timestamp <= coalesce($2::timestamptz, 'infinity')",
    },
];

/// What else a trading holds.
const HELD: [&str; 2] = [
    "DELETE FROM holds WHERE (sub_account_id, order_id) IN (SELECT h.sub_account_id, h.order_id FROM holds h \
         JOIN sub_accounts a ON a.id = h.sub_account_id WHERE a.trading_id = $1 LIMIT $2)",
    // In id order, as the ledger locks them: somebody may still wait for one that he saw alive.
    "DELETE FROM sub_accounts WHERE id IN (SELECT id FROM sub_accounts WHERE trading_id = $1 ORDER BY id LIMIT $2 \
         FOR UPDATE)",
];

/// Removes up to about `limit` rows of each kind from a trading in status `deleting`, inside the caller's transaction,
/// and at last the trading. It can be stopped after any piece and gone on with by anybody. Kept are the ids of its
/// events, which must never be applied again, and its dead letters.
pub async fn purge_some(
    connection: &mut PgConnection,
    id: TradingId,
    limit: u32,
) -> Result<Purged> {
    if !may_do_alone(connection, &format!("purge {id}")).await? {
        return Ok(Purged::Nothing);
    }
    let waits: bool = sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM tradings WHERE id = $1 AND status = 'deleting' AND type <> 'real')",
    )
    .bind(id.0)
    .fetch_one(&mut *connection)
    .await?;
    if !waits {
        return Ok(Purged::Nothing);
    }

    // Opens the append-only books for this trading and transaction.
    sqlx::query("SELECT set_config('tiris.purge_trading_id', $1::text, true)")
        .bind(id.0)
        .execute(&mut *connection)
        .await?;

    for piece in HISTORY {
        if remove_history(connection, id, piece, limit).await? == Purged::Some {
            return Ok(Purged::Some);
        }
    }

    for statement in HELD {
        let gone = sqlx::query(statement)
            .bind(id.0)
            .bind(i64::from(limit))
            .execute(&mut *connection)
            .await?;
        if gone.rows_affected() >= u64::from(limit) {
            return Ok(Purged::Some);
        }
    }

    let trading = "DELETE FROM tradings WHERE id = $1";
    execute_all(connection, id, [FORGET_BOTS, trading]).await?;
    Ok(Purged::All)
}

async fn remove_history(
    connection: &mut PgConnection,
    id: TradingId,
    piece: HistoryPiece,
    limit: u32,
) -> Result<Purged> {
    let end: Option<DateTime<Utc>> = sqlx::query_scalar(piece.end)
        .bind(id.0)
        .bind(i64::from(limit))
        .fetch_optional(&mut *connection)
        .await?;

    // Planned with this very end, which a plan kept for any end would not know.
    sqlx::query(piece.removal)
        .persistent(false)
        .bind(id.0)
        .bind(end)
        .execute(connection)
        .await?;

    Ok(if end.is_some() {
        Purged::Some
    } else {
        Purged::All
    })
}

/// Tradings that wait to be purged, at most `limit`.
pub async fn waiting_to_be_purged(
    connection: &mut PgConnection,
    limit: u32,
) -> Result<Vec<TradingId>> {
    let ids: Vec<Uuid> = sqlx::query_scalar(
        "SELECT id FROM tradings WHERE status = 'deleting' AND type <> 'real' ORDER BY updated_at LIMIT $1",
    )
    .bind(i64::from(limit))
    .fetch_all(connection)
    .await?;
    Ok(ids.into_iter().map(TradingId).collect())
}
