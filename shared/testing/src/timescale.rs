//! TimescaleDB in the servers of the tests and of the development stack, where its files are beside PostgreSQL's.
//!
//! Owns: finding them, the server's settings for it, databases with one form of the history or the other. Must not
//! know: how the forms differ.

use super::database::TestDatabase;
use super::tools::{PgTools, find_postgres};
use anyhow::{Result, bail};
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

/// `auto` (also when it is not set): where its files are; `off`: nowhere; `required`: everywhere, or nothing starts.
const SWITCH: &str = "TIRIS_TIMESCALE";

/// Whether the servers of this machine get TimescaleDB.
pub fn has_timescale() -> Result<bool> {
    is_used_by(&find_postgres(None)?)
}

/// Whether a server of these programs gets TimescaleDB.
pub(super) fn is_used_by(tools: &PgTools) -> Result<bool> {
    let found = share_folders(tools)
        .iter()
        .any(|share| share.join("extension/timescaledb.control").is_file());
    match std::env::var(SWITCH).as_deref() {
        Ok("off") => Ok(false),
        Ok("" | "auto") | Err(_) => Ok(found),
        Ok("required") if found => Ok(true),
        Ok("required") => bail!(
            "the PostgreSQL in {} has no TimescaleDB",
            tools.bin.display()
        ),
        Ok(other) => bail!("{SWITCH} must be auto, off or required (given: {other:?})"),
    }
}

/// Where its extensions may lie: where the server's own `pg_config` says, which a small installation lacks, or where
/// packages put them.
fn share_folders(tools: &PgTools) -> Vec<PathBuf> {
    let told = Command::new(tools.bin.join("pg_config"))
        .arg("--sharedir")
        .output()
        .ok();
    let told = told.map(|output| PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));
    let debian = format!("../../../../share/postgresql/{}", tools.major);
    let packaged = ["../share", "../share/postgresql", &debian].map(|path| tools.bin.join(path));
    told.into_iter().chain(packaged).collect()
}

/// Settings of a server with TimescaleDB. Its background workers sit in every database, which then can be neither
/// copied nor dropped; `jobs` lets them.
pub(super) fn settings(jobs: bool) -> Vec<String> {
    let mut settings: Vec<String> = [
        "shared_preload_libraries=timescaledb",
        "timescaledb.telemetry_level=off",
        // A statement over years of chunks locks each of them with its indexes.
        "max_locks_per_transaction=512",
    ]
    .map(String::from)
    .to_vec();
    if jobs {
        // A launcher, a scheduler per database, the jobs, and PostgreSQL's own parallel workers.
        settings.push("max_worker_processes=24".into());
    } else {
        settings.push("timescaledb.max_background_workers=0".into());
    }
    settings
}

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
