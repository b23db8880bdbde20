//! Deletes tradings: hidden from their owner at once, then purged piece by piece.

use super::check_living;
use crate::by_id;
use crate::error::{Conflict, Error, Result};
use crate::retention::may_do_alone;
use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use tiris_domain::ids::{TradingId, UserId};
use tiris_domain::states::{TradingStatus, TradingType};
use uuid::Uuid;

/// A deleted trading.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Deleted {
    /// Its last name.
    pub name: String,
    /// Whether it moved real money.
    #[sqlx(rename = "type", try_from = "String")]
    pub kind: TradingType,
}

impl Deleted {
    /// Returns whether the accounts and history are purged; those of a real trading stay.
    #[must_use]
    pub fn is_purged(&self) -> bool {
        self.kind != TradingType::Real
    }
}

/// Deletes a living trading of a user with its accounts. Nothing is booked on it once this commits: a booking locks one of
/// its accounts or, without an account, the trading itself, and this waits for those locks.
///
/// # Errors
/// [`Error::NotFound`], and [`Conflict::TradingNotEmpty`] for a real trading that holds money.
pub async fn delete(connection: &mut PgConnection, user: UserId, id: TradingId) -> Result<Deleted> {
    check_living(&mut *connection, user, id).await?;

    // Accounts before the trading, in the order in which the ledger locks them.
    lock_accounts(connection, id).await?;
    let deleted: Option<Deleted> = sqlx::query_as(
        "SELECT name, type FROM tradings WHERE id = $1 AND status IN ('active', 'paused') FOR UPDATE",
    )
    .bind(id.0)
    .fetch_optional(&mut *connection)
    .await?;
    let deleted = deleted.ok_or(Error::NotFound("trading"))?;

    // Accounts may have been created before the trading was locked; none can be created now.
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
    by_id::execute(&mut *connection, id.0, accounts).await?;
    by_id::execute(connection, id.0, FORGET_BOTS).await
}

/// Heartbeats are no history. A bot that still runs appears again, which is correct.
const FORGET_BOTS: &str = "DELETE FROM bots WHERE trading_id = $1 AND user_id = (SELECT user_id FROM tradings WHERE id = $1)";

/// Locks the living accounts of a trading in id order. Returns whether one of them holds money.
async fn lock_accounts(connection: &mut PgConnection, id: TradingId) -> Result<bool> {
    const SQL: &str = "SELECT coalesce(bool_or(balance <> 0), false) FROM ( \
             SELECT balance FROM sub_accounts WHERE trading_id = $1 AND deleted_at IS NULL ORDER BY id \
             FOR NO KEY UPDATE) AS locked";
    by_id::scalar(connection, id.0, SQL).await
}

/// The progress of a purge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purged {
    /// Rows remain.
    Some,
    /// All rows are gone, and the trading too.
    All,
    /// There is nothing to do: the trading is gone already, or another worker purges it.
    Nothing,
}

/// A table of the history of a trading. The rows of one timestamp were booked together and are removed together, so that an
/// index finds a piece. Its end is read first, because a plan for an unknown end reads whole partitions.
struct HistoryPiece {
    table: &'static str,
    /// Reads the last timestamp of the piece.
    end: &'static str,
}

/// The history of a trading, in the order of removal.
const HISTORY: [HistoryPiece; 2] = [
    HistoryPiece {
        table: "transactions",
        end: "SELECT timestamp FROM transactions WHERE trading_id = $1 ORDER BY timestamp OFFSET $2 - 1 LIMIT 1",
    },
    HistoryPiece {
        table: "trading_logs",
        end: "SELECT timestamp FROM trading_logs WHERE trading_id = $1 ORDER BY timestamp OFFSET $2 - 1 LIMIT 1",
    },
];

/// The tables with the other rows of a trading, in the order of removal.
const HELD: [&str; 3] = ["holds", "orders", "sub_accounts"];

/// Removes about `limit` rows of a trading in status `deleting`, inside the caller's transaction, and finally the trading.
/// Any worker can continue after any piece. The ids of its events, which must never be applied again, and its dead letters
/// stay.
pub async fn purge_some(
    connection: &mut PgConnection,
    id: TradingId,
    limit: u32,
) -> Result<Purged> {
    if !may_do_alone(connection, &format!("purge {id}")).await? {
        return Ok(Purged::Nothing);
    }
    let is_deleting = "SELECT EXISTS (SELECT FROM tradings WHERE id = $1 AND status = 'deleting' AND type <> 'real')";
    let is_deleting: bool = by_id::scalar(&mut *connection, id.0, is_deleting).await?;
    if !is_deleting {
        return Ok(Purged::Nothing);
    }

    for piece in HISTORY {
        if remove_piece(connection, id, piece, limit).await? {
            return Ok(Purged::Some);
        }
    }
    for table in HELD {
        let gone = remove(connection, id, table, None, limit).await?;
        if gone >= i64::from(limit) {
            return Ok(Purged::Some);
        }
    }

    by_id::execute(&mut *connection, id.0, FORGET_BOTS).await?;
    remove(connection, id, "tradings", None, limit).await?;
    Ok(Purged::All)
}

/// Removes a piece. Returns whether there may be another.
async fn remove_piece(
    connection: &mut PgConnection,
    id: TradingId,
    piece: HistoryPiece,
    limit: u32,
) -> Result<bool> {
    let end: Option<DateTime<Utc>> = sqlx::query_scalar(piece.end)
        .bind(id.0)
        .bind(i64::from(limit))
        .fetch_optional(&mut *connection)
        .await?;

    remove(connection, id, piece.table, end, limit).await?;
    Ok(end.is_some())
}

/// Removes rows of a trading from a table: of the history all until `end`, of the others at most `limit`. Returns how many.
/// The function of the database refuses any other trading than one that is being deleted.
async fn remove(
    connection: &mut PgConnection,
    id: TradingId,
    table: &'static str,
    end: Option<DateTime<Utc>>,
    limit: u32,
) -> Result<i64> {
    Ok(sqlx::query_scalar("SELECT purge_trading($1, $2, $3, $4)")
        .bind(id.0)
        .bind(table)
        .bind(end)
        .bind(i64::from(limit))
        .fetch_one(connection)
        .await?)
}

/// Returns the ids of tradings to be purged, at most `limit`.
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
