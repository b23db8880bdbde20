//! TimescaleDB in the servers of the tests and of the development stack, where its files are beside PostgreSQL's.
//!
//! Owns: finding them, and the server's settings for it.

use super::tools::{PgTools, find_postgres};
use anyhow::{Result, bail};
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
    let output = Command::new(tools.bin.join("pg_config"))
        .arg("--sharedir")
        .output();
    let own = output.map(|output| PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));
    let debian = format!("../../../../share/postgresql/{}", tools.major);
    let packaged = ["../share", "../share/postgresql", &debian].map(|path| tools.bin.join(path));
    own.into_iter().chain(packaged).collect()
}

/// Settings of a server with TimescaleDB. Its background workers sit in every database, which then can be neither
/// copied nor dropped; `jobs` lets them.
pub(super) fn settings(jobs: bool) -> Vec<String> {
    let workers = if jobs {
        // A launcher, a scheduler per database, the jobs, and PostgreSQL's own parallel workers.
        "max_worker_processes=24"
    } else {
        "timescaledb.max_background_workers=0"
    };
    [
        "shared_preload_libraries=timescaledb",
        "timescaledb.telemetry_level=off",
        // A statement over years of chunks locks each of them with its indexes.
        "max_locks_per_transaction=512",
        workers,
    ]
    .map(String::from)
    .to_vec()
}
