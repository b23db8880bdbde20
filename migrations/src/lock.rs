//! The advisory lock that serializes migrations.
//!
//! sea-orm-migration has none, so two concurrent runs would both apply the pending migrations.

use crate::connect;
use crate::roles::assume_owner;
use anyhow::{Context, Result};
use sqlx::postgres::PgPoolOptions;
use sqlx::{PgConnection, PgPool};
use std::time::Duration;

/// The advisory lock of all schema changes; it is per database.
const LOCK_KEY: i64 = 0x7469_7269_735f_6d67;
/// Time limit for waiting for another run, in PostgreSQL's format.
const LOCK_WAIT: &str = "10min";
/// Time limit for waiting for a table. Other sessions queue behind the wait, so it must be short.
const TABLE_WAIT: &str = "30s";
/// Time limit for connecting.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// Waits for the lock and runs `work` on a pool with a single connection, which holds the lock and acts as the owner of the
/// tables.
///
/// The pool never tests, retires or replaces the connection, so the work ends with the lock: a broken connection fails
/// the current statement and the run.
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

    let outcome = match acquire_lock(&pool).await {
        Ok(()) => work(pool.clone()).await,
        Err(error) => Err(error),
    };

    // Closes the connection, which releases the lock.
    pool.close().await;
    outcome
}

async fn acquire_lock(pool: &PgPool) -> Result<()> {
    let mut connection = pool.acquire().await?;
    assume_owner(&mut connection).await?;
    set(&mut connection, "statement_timeout", "0").await?;
    set(&mut connection, "lock_timeout", LOCK_WAIT).await?;

    let is_free: bool = sqlx::query_scalar("SELECT pg_try_advisory_lock($1)")
        .bind(LOCK_KEY)
        .fetch_one(&mut *connection)
        .await?;
    if !is_free {
        tracing::info!("another migration is running on this database, waiting up to {LOCK_WAIT}");
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
