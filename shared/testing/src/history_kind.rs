//! Test databases with one form of the history tables or the other.

use super::database::TestDatabase;
use anyhow::Result;
use std::io::Write;

impl TestDatabase {
    /// Makes one whose history is hypertables; none where the server has no TimescaleDB, and then says so.
    pub async fn timescale() -> Result<Option<Self>> {
        let database = Self::new().await?;
        if database.history_kind().await? == "timescale" {
            return Ok(Some(database));
        }
        let why: Option<String> = sqlx::query_scalar("SELECT timescale_refusal()")
            .fetch_one(database.pool())
            .await?;
        // Past the test runner, which shows what a test prints only when it fails.
        let test = std::thread::current().name().unwrap_or_default().to_owned();
        let skipped = format!(
            "SKIPPED: {test}: no TimescaleDB: {}\n",
            why.unwrap_or_default()
        );
        std::io::stderr().write_all(skipped.as_bytes())?;

        Ok(None)
    }

    /// Makes one whose history is native partitions, whatever the server has.
    pub async fn native() -> Result<Self> {
        let database = Self::new().await?;
        sqlx::query("SELECT history_to_native()")
            .execute(database.pool())
            .await?;
        Ok(database)
    }

    /// Makes one for each form of the history that the server can have, native first.
    pub async fn of_each_kind() -> Result<Vec<Self>> {
        let mut databases = vec![Self::native().await?];
        databases.extend(Self::timescale().await?);
        Ok(databases)
    }

    /// Which form its history has, `native` or `timescale`.
    pub async fn history_kind(&self) -> Result<String> {
        Ok(sqlx::query_scalar("SELECT history_kind()")
            .fetch_one(self.pool())
            .await?)
    }
}
