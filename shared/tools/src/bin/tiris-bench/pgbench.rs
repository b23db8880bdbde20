//! The rate of PostgreSQL without the API in front of it: pgbench with prepared statements.

use crate::site::Bench;
use crate::stage::Database;
use anyhow::{Context, Result, ensure};
use tiris_testing::find_postgres;
use tiris_tools::run_program;

/// The default pool size of the API.
pub(crate) const CLIENTS: u32 = 10;

/// Returns the transactions a second of a script, none of which may fail.
pub(crate) async fn rate(bench: &Bench, database: &Database, script: &str) -> Result<u64> {
    let file = bench.stage.folder.path().join("pgbench.sql");
    std::fs::write(&file, script)?;
    let mut command = tokio::process::Command::new(find_postgres(None)?.bin.join("pgbench"));
    command
        .arg("--file")
        .arg(file)
        .args(["--no-vacuum", "--protocol=prepared", "--jobs=2"])
        .arg(format!("--client={CLIENTS}"))
        .arg(format!("--time={}", bench.sizes.load_time().as_secs()))
        .arg(&database.url);

    let text = run_program(&mut command).await?;
    ensure!(
        text.contains("failed transactions: 0 "),
        "transactions of pgbench failed: {text}"
    );
    parse(&text).with_context(|| format!("pgbench printed no rate: {text}"))
}

/// Returns the whole transactions of the line `tps = 1234.567890 (without initial connection time)`.
fn parse(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("tps = "))?;
    line.split(['.', ' ']).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn parses_the_rate_that_pgbench_prints() {
        let text =
            "latency average = 0.1 ms\ntps = 58123.912345 (without initial connection time)\n";
        assert_eq!(parse(text), Some(58_123));
        assert_eq!(parse("tps: none"), None);
    }
}
