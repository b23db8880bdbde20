//! Tradings that are given up: gone at once for everybody, then emptied piece by piece.
//!
//! Owns: what a deletion does to rows, which locks it takes in which order, and what a purge leaves. Must not know: who
//! asks, when it is time.

use crate::column;
use crate::entity::exchange_bindings;
use crate::entity::tradings::Model;
use crate::error::{Conflict, Error, Result};
use crate::retention::may_do_alone;
use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgExecutor};
use tiris_domain::ids::{BindingId, TradingId, UserId};
use tiris_domain::states::{TradingStatus, TradingType};
use tiris_domain::value::{Info, Name};
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

/// Deletes a living trading of the user with its accounts. Nothing is booked on it any more once this commits: whoever
/// books holds one of its accounts or, without an account, the trading itself, and is waited for here.
///
/// # Errors
/// [`Error::NotFound`], and [`Conflict::TradingNotEmpty`] for a real trading that holds money.
pub async fn delete(connection: &mut PgConnection, user: UserId, id: TradingId) -> Result<Deleted> {
    let missing = || Error::NotFound("trading");
    let owned: Option<bool> = sqlx::query_scalar(
        "SELECT true FROM tradings WHERE id = $1 AND user_id = $2 AND status IN ('active', 'paused')",
    )
    .bind(id.0)
    .bind(user.0)
    .fetch_optional(&mut *connection)
    .await?;
    owned.ok_or_else(missing)?;
    // Accounts before the trading, as the ledger takes them.
    lock_accounts(connection, id).await?;
    let row: Option<(String, String)> = sqlx::query_as(
        "SELECT name, type FROM tradings WHERE id = $1 AND status IN ('active', 'paused') FOR UPDATE",
    )
    .bind(id.0)
    .fetch_optional(&mut *connection)
    .await?;
    let (name, kind) = row.ok_or_else(missing)?;
    let deleted = Deleted {
        name,
        kind: column::state(kind)?,
    };
    // Some may have been made before the trading was locked; none can be made now.
    let holds_money = lock_accounts(connection, id).await?;
    if holds_money && !deleted.is_purged() {
        return Err(Error::Conflict(Conflict::TradingNotEmpty));
    }
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
    for statement in [
        "UPDATE sub_accounts SET deleted_at = clock_timestamp(), updated_at = clock_timestamp() \
         WHERE trading_id = $1 AND deleted_at IS NULL",
        FORGET_BOTS,
    ] {
        sqlx::query(statement)
            .bind(id.0)
            .execute(&mut *connection)
            .await?;
    }
    Ok(deleted)
}

/// What a bot last said is no history. A bot that goes on shows up again, which is true.
const FORGET_BOTS: &str = "DELETE FROM bots WHERE trading_id = $1 AND user_id = (SELECT user_id FROM tradings WHERE id = $1)";

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

/// The history of a trading, in the order it goes: where a piece of it ends, and its removal. The rows of one moment were
/// booked together and go together, so that a piece is found by index whatever it joins with. The end is asked for first,
/// because a plan for an end that is not known reads whole partitions.
const HISTORY: [(&str, &str); 2] = [
    (
        "SELECT timestamp FROM transactions WHERE trading_id = $1 ORDER BY timestamp OFFSET $2 - 1 LIMIT 1",
        "DELETE FROM transactions WHERE trading_id = $1 AND timestamp <= coalesce($2, 'infinity')",
    ),
    (
        "SELECT timestamp FROM trading_logs WHERE trading_id = $1 ORDER BY timestamp OFFSET $2 - 1 LIMIT 1",
        "DELETE FROM trading_logs WHERE trading_id = $1 AND timestamp <= coalesce($2, 'infinity')",
    ),
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
    let waits: Option<bool> = sqlx::query_scalar(
        "SELECT true FROM tradings WHERE id = $1 AND status = 'deleting' AND type <> 'real'",
    )
    .bind(id.0)
    .fetch_optional(&mut *connection)
    .await?;
    if waits.is_none() {
        return Ok(Purged::Nothing);
    }
    // Opens the append-only books for this trading and transaction.
    sqlx::query("SELECT set_config('tiris.purge_trading_id', $1::text, true)")
        .bind(id.0)
        .execute(&mut *connection)
        .await?;
    for (end, removal) in HISTORY {
        let end: Option<DateTime<Utc>> = sqlx::query_scalar(end)
            .bind(id.0)
            .bind(i64::from(limit))
            .fetch_optional(&mut *connection)
            .await?;
        // Planned with this very end, which a plan kept for any end would not know.
        sqlx::query(removal)
            .persistent(false)
            .bind(id.0)
            .bind(end)
            .execute(&mut *connection)
            .await?;
        if end.is_some() {
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
    for statement in [FORGET_BOTS, "DELETE FROM tradings WHERE id = $1"] {
        sqlx::query(statement)
            .bind(id.0)
            .execute(&mut *connection)
            .await?;
    }
    Ok(Purged::All)
}

/// A trading to insert.
#[derive(Clone, Debug)]
pub struct NewTrading<'a> {
    /// Its id.
    pub id: TradingId,
    /// The owner.
    pub user: UserId,
    /// The exchange binding it uses.
    pub binding: Option<BindingId>,
    /// Unique among the living tradings of the user.
    pub name: &'a Name,
    /// Where it trades.
    pub kind: TradingType,
    /// Free JSON.
    pub info: &'a Info,
}

/// Inserts a trading, and returns it.
pub async fn insert(connection: &mut PgConnection, new: &NewTrading<'_>) -> Result<Model> {
    let row = sqlx::query_as(
        "INSERT INTO tradings (id, user_id, exchange_binding_id, name, type, info) VALUES ($1, $2, $3, $4, $5, $6) \
         RETURNING id, user_id, exchange_binding_id, name, type, status, info, created_at, updated_at",
    )
    .bind(new.id.0)
    .bind(new.user.0)
    .bind(new.binding.map(|binding| binding.0))
    .bind(new.name.as_str())
    .bind(new.kind.as_str())
    .bind(sqlx::types::Json(new.info))
    .fetch_one(connection)
    .await?;
    Ok(row)
}

/// What to change of a trading; what is `None` stays.
#[derive(Clone, Debug, Default)]
pub struct TradingUpdate {
    /// Unique among the living tradings of the user.
    pub name: Option<Name>,
    /// Whether a bot may work on it.
    pub status: Option<TradingStatus>,
    /// The exchange binding it uses.
    pub binding: Option<BindingId>,
    /// Free JSON.
    pub info: Option<Info>,
}

/// Locks a living trading of a user until the transaction ends.
///
/// # Errors
/// [`Error::NotFound`] when it does not exist or belongs to another user.
pub async fn lock(connection: &mut PgConnection, user: UserId, id: TradingId) -> Result<Model> {
    let row = sqlx::query_as(
        "SELECT id, user_id, exchange_binding_id, name, type, status, info, created_at, updated_at \
         FROM tradings WHERE id = $1 AND user_id = $2 AND status IN ('active', 'paused') FOR NO KEY UPDATE",
    )
    .bind(id.0)
    .bind(user.0)
    .fetch_optional(connection)
    .await?;
    row.ok_or(Error::NotFound("trading"))
}

/// Changes a locked trading, and returns it.
pub async fn update(
    connection: &mut PgConnection,
    id: TradingId,
    update: &TradingUpdate,
) -> Result<Model> {
    let row = sqlx::query_as(
        "UPDATE tradings SET name = coalesce($2, name), status = coalesce($3, status), \
         exchange_binding_id = coalesce($4, exchange_binding_id), info = coalesce($5, info), \
         updated_at = clock_timestamp() WHERE id = $1 \
         RETURNING id, user_id, exchange_binding_id, name, type, status, info, created_at, updated_at",
    )
    .bind(id.0)
    .bind(update.name.as_ref().map(Name::as_str))
    .bind(update.status.map(TradingStatus::as_str))
    .bind(update.binding.map(|binding| binding.0))
    .bind(update.info.as_ref().map(sqlx::types::Json))
    .fetch_one(connection)
    .await?;
    Ok(row)
}

/// Returns the exchange binding of a trading.
pub async fn binding_of(
    connection: &mut PgConnection,
    trading: &Model,
) -> Result<Option<exchange_bindings::Model>> {
    let Some(binding) = trading.exchange_binding_id else {
        return Ok(None);
    };
    let row = sqlx::query_as(
        "SELECT id, user_id, name, exchange_type, kind, api_key_encrypted, api_secret_encrypted, passphrase_encrypted, \
         masked_api_key, key_id, fingerprint, status, last_verified_at, info, created_at, updated_at \
         FROM exchange_bindings WHERE id = $1",
    )
    .bind(binding)
    .fetch_optional(connection)
    .await?;
    Ok(row)
}

/// Fails unless a user has this living trading.
///
/// # Errors
/// [`Error::NotFound`] when it does not exist or belongs to another user.
pub async fn check_living(
    executor: impl PgExecutor<'_>,
    user: UserId,
    id: TradingId,
) -> Result<()> {
    let living = sqlx::query(
        "SELECT id FROM tradings WHERE id = $1 AND user_id = $2 AND status IN ('active', 'paused')",
    )
    .bind(id.0)
    .bind(user.0)
    .fetch_optional(executor)
    .await?;
    living.map(drop).ok_or(Error::NotFound("trading"))
}

/// Returns when an account of a trading last changed. Every booking changes one, so nothing was booked since.
pub async fn last_change(
    executor: impl PgExecutor<'_>,
    id: TradingId,
) -> Result<Option<DateTime<Utc>>> {
    let newest =
        sqlx::query_scalar("SELECT max(updated_at) FROM sub_accounts WHERE trading_id = $1")
            .bind(id.0)
            .fetch_one(executor)
            .await?;
    Ok(newest)
}

/// Keeps a living trading of a user from being deleted until the transaction ends.
///
/// # Errors
/// [`Error::NotFound`] when it does not exist or belongs to another user.
pub async fn share(connection: &mut PgConnection, user: UserId, id: TradingId) -> Result<()> {
    let living = sqlx::query(
        "SELECT id FROM tradings WHERE id = $1 AND user_id = $2 AND status IN ('active', 'paused') FOR SHARE",
    )
    .bind(id.0)
    .bind(user.0)
    .fetch_optional(connection)
    .await?;
    living.map(drop).ok_or(Error::NotFound("trading"))
}

/// Fails unless the history of a trading can be read by a user: a real one stays readable when it is deleted.
///
/// # Errors
/// [`Error::NotFound`] when it does not exist, belongs to another user or is being purged.
pub async fn check_readable(
    executor: impl PgExecutor<'_>,
    user: UserId,
    id: TradingId,
) -> Result<()> {
    let readable = sqlx::query(
        "SELECT id FROM tradings WHERE id = $1 AND user_id = $2 AND status <> 'deleting'",
    )
    .bind(id.0)
    .bind(user.0)
    .fetch_optional(executor)
    .await?;
    readable.map(drop).ok_or(Error::NotFound("trading"))
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
