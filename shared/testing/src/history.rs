//! Test databases with either form of the history tables, and long histories in them.

use super::database::TestDatabase;
use anyhow::{Result, ensure};
use sqlx::PgPool;
use std::io::Write;
use tiris_migrations::{HistoryKind, convert_history};
use uuid::Uuid;

/// Books `postings` credits of one unit on an account without postings, each with its log and one microsecond after the
/// other, as the ledger would one by one.
pub async fn grow_history(pool: &PgPool, account: Uuid, postings: i32) -> Result<()> {
    let mut transaction = pool.begin().await?;
    for statement in [
        "WITH moment AS (SELECT clock_timestamp() AS at), rows AS ( \
             SELECT n, at + n * interval '1 microsecond' AS timestamp, gen_random_uuid() AS posting, \
                    gen_random_uuid() AS log \
             FROM moment, generate_series(1, $2) AS n), logs AS ( \
             INSERT INTO trading_logs (id, timestamp, user_id, trading_id, sub_account_id, transaction_id, postings, \
                 event_time, type, source) \
             SELECT log, timestamp, a.user_id, a.trading_id, a.id, posting, 1, timestamp, 'deposit', 'manual' \
             FROM rows, sub_accounts a WHERE a.id = $1) \
         INSERT INTO transactions (id, timestamp, user_id, trading_id, sub_account_id, event_time, direction, reason, \
             amount, closing_balance, sequence, trading_log_id) \
         SELECT posting, timestamp, a.user_id, a.trading_id, a.id, timestamp, 'credit', 'deposit', 1, n, n, log \
         FROM rows, sub_accounts a WHERE a.id = $1",
        "UPDATE sub_accounts SET balance = $2, sequence = $2 WHERE id = $1 AND sequence = 0",
    ] {
        let written = sqlx::query(statement)
            .bind(account)
            .bind(postings)
            .execute(&mut *transaction)
            .await?;
        ensure!(written.rows_affected() > 0, "the account has postings");
    }

    transaction.commit().await?;
    Ok(())
}

impl TestDatabase {
    /// Creates a database whose history is hypertables; None, with a message, when the server has no TimescaleDB.
    pub async fn timescale() -> Result<Option<Self>> {
        let database = Self::new().await?;
        if database.history_kind().await? == "timescale" {
            return Ok(Some(database));
        }
        let why: Option<String> = sqlx::query_scalar("SELECT timescale_refusal()")
            .fetch_one(database.pool())
            .await?;
        // Directly to standard error, because the test runner shows output only when a test fails.
        let test = std::thread::current().name().unwrap_or_default().to_owned();
        let why = why.unwrap_or_default();
        let skipped = format!("SKIPPED: {test}: no TimescaleDB: {why}\n");
        std::io::stderr().write_all(skipped.as_bytes())?;

        Ok(None)
    }

    /// Creates a database whose history is native partitions, also on a server with TimescaleDB.
    pub async fn native() -> Result<Self> {
        let database = Self::new().await?;
        convert_history(database.url(), HistoryKind::Native).await?;
        Ok(database)
    }

    /// Creates a database for each form of the history that the server supports, native first.
    pub async fn of_each_kind() -> Result<Vec<Self>> {
        let mut databases = vec![Self::native().await?];
        databases.extend(Self::timescale().await?);
        Ok(databases)
    }

    /// Returns the form of the history, `native` or `timescale`.
    pub async fn history_kind(&self) -> Result<String> {
        Ok(sqlx::query_scalar("SELECT history_kind()")
            .fetch_one(self.pool())
            .await?)
    }
}
