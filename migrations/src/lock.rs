//! One migration at a time: PostgreSQL's advisory lock around a whole run.
//!
//! sea-orm-migration takes no lock, so two processes that migrate at once would both apply what is pending.

use crate::connect;
use anyhow::{Context, Result};
use sqlx::postgres::PgPoolOptions;
use sqlx::{PgConnection, PgPool};
use std::time::Duration;

/// Advisory lock of everything that changes the schema; advisory locks are per database.
const LOCK_KEY: i64 = 0x7469_7269_735f_6d67;
/// How long a run waits for another one, as PostgreSQL spells it.
const LOCK_WAIT: &str = "10min";
/// How long a change waits for a table. Everybody else who needs the table queues behind it, so it must give up.
const TABLE_WAIT: &str = "30s";
/// How long to try for the connection itself.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// Waits its turn, and runs `work` on a pool of exactly one connection, the one that holds the lock.
///
/// Lock and work share the connection so that neither can outlive the other: the pool never tests, retires or
/// replaces it, and a connection that breaks fails the statement and with it the run.
pub(crate) async fn under_lock<T, F>(
    database_url: &str,
    work: impl FnOnce(PgPool) -> F,
) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .acquire_timeout(CONNECT_LIMIT)
        .connect_with(connect::parse(database_url)?)
        .await
        .with_context(|| connect::failure(database_url))?;

    let outcome = match wait_for_turn(&pool).await {
        Ok(()) => work(pool.clone()).await,
        Err(error) => Err(error),
    };

    // Ends the connection and with it the lock.
    pool.close().await;
    outcome
}

async fn wait_for_turn(pool: &PgPool) -> Result<()> {
    let mut connection = pool.acquire().await?;
    set(&mut connection, "statement_timeout", "0").await?;
    set(&mut connection, "lock_timeout", LOCK_WAIT).await?;

    let free: bool = sqlx::query_scalar("SELECT pg_try_advisory_lock($1)")
        .bind(LOCK_KEY)
        .fetch_one(&mut *connection)
        .await?;
    if !free {
        tracing::info!("another migration is at work on this database, waiting up to {LOCK_WAIT}");
        sqlx::query("SELECT pg_advisory_lock($1)")
            .bind(LOCK_KEY)
            .execute(&mut *connection)
            .await
            .with_context(|| {
                format!("another migration held the lock for more than {LOCK_WAIT}")
            })?;
    }

    Ok(set(&mut connection, "lock_timeout", TABLE_WAIT).await?)
}

async fn set(connection: &mut PgConnection, name: &str, value: &str) -> sqlx::Result<()> {
    sqlx::query("SELECT set_config($1, $2, false)")
        .bind(name)
        .bind(value)
        .execute(connection)
        .await
        .map(drop)
}
