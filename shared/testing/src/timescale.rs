//! TimescaleDB in the servers of tests and of the development stack: finding its files and the settings for it.

use super::tools::{PgTools, find_postgres};
use anyhow::{Result, bail};
use std::path::PathBuf;
use std::process::Command;

/// `auto` (the default) uses TimescaleDB when it is installed, `off` never, `required` fails without it.
const SWITCH: &str = "TIRIS_TIMESCALE";

/// Reports whether servers on this machine use TimescaleDB.
pub fn has_timescale() -> Result<bool> {
    is_used_by(&find_postgres(None)?)
}

/// Reports whether a server of these programs uses TimescaleDB.
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

/// Returns the folders that may contain its files: the one `pg_config` reports, which small installations lack, and those
/// of packages.
fn share_folders(tools: &PgTools) -> Vec<PathBuf> {
    let output = Command::new(tools.bin.join("pg_config"))
        .arg("--sharedir")
        .output();
    let own = output.map(|output| PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));
    let debian = format!("../../../../share/postgresql/{}", tools.major);
    let packaged = ["../share", "../share/postgresql", &debian].map(|path| tools.bin.join(path));
    own.into_iter().chain(packaged).collect()
}

/// Returns the settings of a server with TimescaleDB. Its background workers, which `jobs` enables, use every database,
/// which then cannot be copied or dropped.
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
        // A statement over years of chunks locks each chunk and its indexes.
        "max_locks_per_transaction=512",
        workers,
    ]
    .map(String::from)
    .to_vec()
}
