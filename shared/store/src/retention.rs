//! What is given up when it is old, by configuration or because it has expired.
//!
//! Owns: dropping partitions, purging event ids, removing what has expired, and that one worker at a
//! time does it. Must not know: what is configured, when it is time.

use crate::error::Result;
use crate::lanes::columns::convert;
use sqlx::PgConnection;
use std::time::Duration;
use tiris_domain::lane::EventStream;

/// Waits this long for the lock a drop needs; everything that reads or writes the table waits behind it meanwhile.
const DROP_LOCK_TIMEOUT: Duration = Duration::from_millis(500);

/// The history tables, which are partitioned by time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum History {
    /// Every change of every balance.
    Transactions,
    /// What happened on tradings.
    TradingLogs,
    /// Who did what.
    AuditLogs,
}

impl History {
    /// Its table.
    #[must_use]
    pub const fn table(self) -> &'static str {
        match self {
            Self::Transactions => "transactions",
            Self::TradingLogs => "trading_logs",
            Self::AuditLogs => "audit_logs",
        }
    }
}

/// Whether this transaction may do the upkeep `task`: no other is at it. Ends with the transaction.
pub async fn may_do_alone(connection: &mut PgConnection, task: &str) -> Result<bool> {
    let got = sqlx::query_scalar(
        "SELECT pg_try_advisory_xact_lock(hashtext('tiris upkeep'), hashtext($1))",
    )
    .bind(task)
    .fetch_one(connection)
    .await?;
    Ok(got)
}

/// Drops the partitions of `history` that ended longer than `age` ago by the database's clock, inside the caller's
/// transaction; answers how many.
///
/// # Errors
/// Something to try again when the table is busy for longer than half a second.
pub async fn drop_partitions(
    connection: &mut PgConnection,
    history: History,
    age: Duration,
) -> Result<i32> {
    sqlx::query("SELECT set_config('lock_timeout', $1, true)")
        .bind(format!("{}ms", DROP_LOCK_TIMEOUT.as_millis()))
        .execute(&mut *connection)
        .await?;
    let dropped =
        sqlx::query_scalar("SELECT drop_partitions($1, clock_timestamp() - $2::interval)")
            .bind(history.table())
            .bind(age)
            .fetch_one(connection)
            .await?;
    Ok(dropped)
}

/// Forgets up to `limit` ids of events that were done longer than `age` ago; answers how many. A duplicate that comes
/// later than that is applied again, which is why ids are kept for ever by default, and never for less time than a stream
/// keeps its messages. Ids of events that wait as dead letters stay.
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

/// What says itself how long it is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiring {
    /// Answers that are given again.
    IdempotencyKeys,
    /// Sign-ins.
    Sessions,
    /// Logins that were not finished.
    Logins,
}

impl Expiring {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::IdempotencyKeys, Self::Sessions, Self::Logins];

    /// Its table.
    #[must_use]
    pub const fn table(self) -> &'static str {
        match self {
            Self::IdempotencyKeys => "idempotency_keys",
            Self::Sessions => "sessions",
            Self::Logins => "oauth_states",
        }
    }

    /// What is in use at the moment, a key that is taken over above all, is left for another time.
    const fn removal(self) -> &'static str {
        match self {
            Self::IdempotencyKeys => {
                "DELETE FROM idempotency_keys WHERE (user_id, method, path, key) IN ( \
                     SELECT user_id, method, path, key FROM idempotency_keys WHERE expires_at <= now() \
                     ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED)"
            }
            Self::Sessions => {
                "DELETE FROM sessions WHERE id IN ( \
                     SELECT id FROM sessions WHERE expires_at <= now() LIMIT $1 FOR UPDATE SKIP LOCKED)"
            }
            Self::Logins => {
                "DELETE FROM oauth_states WHERE state IN ( \
                     SELECT state FROM oauth_states WHERE expires_at <= now() LIMIT $1 FOR UPDATE SKIP LOCKED)"
            }
        }
    }
}

/// Removes up to `limit` rows that have expired; answers how many.
pub async fn remove_expired(
    connection: &mut PgConnection,
    what: Expiring,
    limit: u32,
) -> Result<u64> {
    let removed = sqlx::query(what.removal())
        .bind(i64::from(limit))
        .execute(connection)
        .await?;
    Ok(removed.rows_affected())
}

/// Notes the lag of the lanes of `stream` without an owner, as an upper bound: all that the stream holds behind them.
/// Of a lane that belongs to an earlier stream that is everything.
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
