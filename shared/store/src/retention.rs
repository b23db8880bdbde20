//! Removes old data: partitions, event ids and expired rows, by one worker at a time.

use crate::error::Result;
use crate::lanes::columns::convert;
use sqlx::PgConnection;
use std::time::Duration;
use tiris_domain::lane::EventStream;

/// Longest wait for the lock that a drop needs, as all reads and writes of the table queue behind it.
const DROP_LOCK_TIMEOUT: Duration = Duration::from_millis(500);

/// Least number of days that each history table is kept, which `upkeep_retention` in the database enforces.
pub const HISTORY_DAYS_MIN: u32 = 365;

/// The history tables, which are partitioned by time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum History {
    /// Changes of balances.
    Transactions,
    /// Activity of tradings.
    TradingLogs,
    /// Actions of users and operators.
    AuditLogs,
}

impl History {
    /// Returns the name of the table.
    #[must_use]
    pub const fn table(self) -> &'static str {
        match self {
            Self::Transactions => "transactions",
            Self::TradingLogs => "trading_logs",
            Self::AuditLogs => "audit_logs",
        }
    }
}

/// Tries to reserve the upkeep `task` for this transaction, until it ends. Returns false when another transaction has it.
pub async fn may_do_alone(connection: &mut PgConnection, task: &str) -> Result<bool> {
    Ok(sqlx::query_scalar(
        "SELECT pg_try_advisory_xact_lock(hashtext('tiris upkeep'), hashtext($1))",
    )
    .bind(task)
    .fetch_one(connection)
    .await?)
}

/// Drops the partitions of `history` that ended longer than `age` ago by the database's clock, inside the caller's
/// transaction. Returns how many.
///
/// # Errors
/// A transient error when the table is locked for longer than half a second, and an error of the database for an `age` below
/// [`HISTORY_DAYS_MIN`].
pub async fn drop_partitions(
    connection: &mut PgConnection,
    history: History,
    age: Duration,
) -> Result<i32> {
    sqlx::query("SELECT set_config('lock_timeout', $1, true)")
        .bind(format!("{}ms", DROP_LOCK_TIMEOUT.as_millis()))
        .execute(&mut *connection)
        .await?;
    Ok(sqlx::query_scalar("SELECT upkeep_retention($1, $2)")
        .bind(history.table())
        .bind(age)
        .fetch_one(connection)
        .await?)
}

/// Removes up to `limit` ids of events that were processed longer than `age` ago, except for those of open dead letters.
/// Returns how many. A later duplicate is applied again, so ids stay forever by default, and never for less time than a
/// stream stores its messages.
pub async fn purge_event_ids(
    connection: &mut PgConnection,
    age: Duration,
    limit: u32,
) -> Result<u64> {
    let purged = sqlx::query(
        "DELETE FROM processed_events WHERE (user_id, event_id) IN ( \
             SELECT user_id, event_id FROM processed_events WHERE created_at < clock_timestamp() - $1::interval AND outcome <> 'dead' LIMIT $2)",
    )
    .bind(age)
    .bind(i64::from(limit))
    .execute(connection)
    .await?;
    Ok(purged.rows_affected())
}

/// Removes up to `limit` dead letters that were closed longer than `age` ago. Returns how many. Their events stay processed,
/// because their ids do.
pub async fn purge_dead_letters(
    connection: &mut PgConnection,
    age: Duration,
    limit: u32,
) -> Result<u64> {
    let purged = sqlx::query(
        "DELETE FROM dead_letters WHERE id IN (SELECT id FROM dead_letters \
             WHERE closed_at < clock_timestamp() - $1::interval ORDER BY closed_at LIMIT $2 FOR UPDATE SKIP LOCKED)",
    )
    .bind(age)
    .bind(i64::from(limit))
    .execute(connection)
    .await?;
    Ok(purged.rows_affected())
}

/// A table of rows with an expiry time.
#[derive(Clone, Copy, Debug)]
pub struct Expiring {
    /// Name of the table.
    pub table: &'static str,
    /// Skips locked rows, such as a key that is being claimed again.
    removal: &'static str,
}

impl Expiring {
    /// All such tables.
    pub const ALL: [Self; 3] = [
        Self {
            table: "idempotency_keys",
            removal: "DELETE FROM idempotency_keys WHERE (user_id, method, path, key) IN ( \
                SELECT user_id, method, path, key FROM idempotency_keys WHERE expires_at <= now() \
                ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED)",
        },
        Self {
            table: "sessions",
            removal: "DELETE FROM sessions WHERE id IN ( \
                SELECT id FROM sessions WHERE expires_at <= now() LIMIT $1 FOR UPDATE SKIP LOCKED)",
        },
        Self {
            table: "oauth_states",
            removal: "DELETE FROM oauth_states WHERE state IN ( \
                SELECT state FROM oauth_states WHERE expires_at <= now() LIMIT $1 FOR UPDATE SKIP LOCKED)",
        },
    ];
}

/// Removes up to `limit` expired rows. Returns how many.
pub async fn remove_expired(
    connection: &mut PgConnection,
    what: Expiring,
    limit: u32,
) -> Result<u64> {
    let removed = sqlx::query(what.removal)
        .bind(i64::from(limit))
        .execute(connection)
        .await?;
    Ok(removed.rows_affected())
}

/// Records the lag of the lanes of `stream` without an owner, as an upper bound: all messages of the stream after the cursor,
/// or all messages where the cursor belongs to an earlier stream. Returns the number of lanes.
pub async fn sample_free_lanes(
    connection: &mut PgConnection,
    stream: EventStream,
    stream_created_at: i64,
    last_seq: u64,
) -> Result<u64> {
    let sampled = sqlx::query(
        "UPDATE ingest_lanes SET lag_messages = CASE WHEN stream_created_at = $3 THEN greatest($2 - cursor, 0) ELSE $2 END, \
         lag_exact = (stream_created_at = $3 AND $2 <= cursor), \
         lag_seconds = CASE WHEN stream_created_at = $3 AND $2 <= cursor THEN 0 END, lag_at = clock_timestamp() \
         WHERE (stream, lane) IN (SELECT stream, lane FROM ingest_lanes \
             WHERE stream = $1 AND (owner IS NULL OR lease_until IS NULL OR lease_until < clock_timestamp()) \
             FOR NO KEY UPDATE SKIP LOCKED)",
    )
    .bind(stream.name())
    .bind(convert::<_, i64>(last_seq)?)
    .bind(stream_created_at)
    .execute(connection)
    .await?;

    Ok(sampled.rows_affected())
}
