//! What PostgreSQL answers without the API before it: pgbench, with prepared statements.
//!
//! Owns: its arguments and what it prints. Must not know: what the script says.

use crate::stage::Database;
use anyhow::{Context, Result, ensure};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tiris_testing::find_postgres;

/// As many connections as the API has by default.
pub(crate) const CLIENTS: u32 = 10;
const THREADS: &str = "--jobs=2";

/// Transactions a second of `scripts`, one or the other; none may fail.
pub(crate) async fn rate(
    database: &Database,
    folder: &Path,
    scripts: &[String],
    clients: u32,
    time: Duration,
) -> Result<u64> {
    let mut command = tokio::process::Command::new(find_postgres(None)?.bin.join("pgbench"));
    for (number, script) in scripts.iter().enumerate() {
        let file = folder.join(format!("pgbench-{number}.sql"));
        std::fs::write(&file, script)?;
        command.arg("--file").arg(file);
    }

    let output = command
        .args(["--no-vacuum", "--protocol=prepared", THREADS])
        .arg(format!("--client={clients}"))
        .arg(format!("--time={}", time.as_secs().max(1)))
        .arg(&database.url)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .context("cannot run pgbench")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "pgbench failed: {}", errors.trim());
    ensure!(
        text.contains("failed transactions: 0 "),
        "pgbench had failures: {text}"
    );

    parse(&text).with_context(|| format!("pgbench prints no rate: {text}"))
}

/// Whole transactions of the line `tps = 1234.567890 (without initial connection time)`.
fn parse(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("tps = "))?;
    line.split(['.', ' ']).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_rate_is_read_from_what_pgbench_prints() {
        let text =
            "latency average = 0.1 ms\ntps = 58123.912345 (without initial connection time)\n";
        assert_eq!(super::parse(text), Some(58_123));
        assert_eq!(super::parse("tps: none"), None);
    }
}
