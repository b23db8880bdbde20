//! One migration at a time: PostgreSQL's advisory lock around a whole run.
//!
//! Owns: the lock's key, and that it lives exactly as long as the connection that does the work. Must not know:
//! what is done under it.

use crate::connect;
use anyhow::{Context, Result};
use sea_orm_migration::sea_orm::{DatabaseConnection, SqlxPostgresConnector};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use std::time::Duration;

/// Advisory lock of everything that changes the schema; advisory locks are per database.
const LOCK_KEY: i64 = 0x7469_7269_735f_6d67;
/// How long a run waits for another one, as PostgreSQL spells it.
const LOCK_WAIT: &str = "10min";
/// How long a change waits for a table. Everybody else who needs the table queues behind it, so it must give up.
const TABLE_WAIT: &str = "30s";
/// How long to try for the connection itself.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// A pool of exactly one connection, the one that holds the lock.
///
/// Lock and work share the connection so that neither can outlive the other: the pool never tests, retires or
/// replaces it, and a connection that breaks fails the statement and with it the run.
pub(crate) struct LockedPool {
    pool: PgPool,
}

impl LockedPool {
    /// Connects and waits its turn.
    pub(crate) async fn acquire(database_url: &str) -> Result<Self> {
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .test_before_acquire(false)
            .acquire_timeout(CONNECT_LIMIT)
            .connect_with(connect::parse(database_url)?)
            .await
            .with_context(|| {
                format!(
                    "cannot connect to {}",
                    connect::describe(database_url).unwrap_or_default()
                )
            })?;
        let locked = Self { pool };
        match locked.wait_for_turn().await {
            Ok(()) => Ok(locked),
            Err(error) => {
                locked.release().await;
                Err(error)
            }
        }
    }

    async fn wait_for_turn(&self) -> Result<()> {
        let mut connection = self.pool.acquire().await?;
        sqlx::query(
            "SELECT set_config('lock_timeout', $1, false), set_config('statement_timeout', '0', false)",
        )
        .bind(LOCK_WAIT)
        .execute(&mut *connection)
        .await?;
        let free: bool = sqlx::query_scalar("SELECT pg_try_advisory_lock($1)")
            .bind(LOCK_KEY)
            .fetch_one(&mut *connection)
            .await?;
        if !free {
            tracing::info!(
                "another migration is at work on this database, waiting up to {LOCK_WAIT}"
            );
            sqlx::query("SELECT pg_advisory_lock($1)")
                .bind(LOCK_KEY)
                .execute(&mut *connection)
                .await
                .with_context(|| {
                    format!("another migration held the lock for more than {LOCK_WAIT}")
                })?;
        }
        sqlx::query("SELECT set_config('lock_timeout', $1, false)")
            .bind(TABLE_WAIT)
            .execute(&mut *connection)
            .await?;
        Ok(())
    }

    /// The locked connection for SQL of our own.
    pub(crate) fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// The locked connection as SeaORM wants it.
    pub(crate) fn sea_orm(&self) -> DatabaseConnection {
        SqlxPostgresConnector::from_sqlx_postgres_pool(self.pool.clone())
    }

    /// Ends the connection and with it the lock.
    pub(crate) async fn release(self) {
        self.pool.close().await;
    }
}
