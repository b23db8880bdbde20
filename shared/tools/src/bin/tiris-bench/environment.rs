//! What a run was measured on.
//!
//! Owns: finding it out. Must not know: what is measured.

use crate::stage::Stage;
use anyhow::Result;
use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use tiris_testing::find_nats_server;

/// The settings that decide most about speed.
const TOLD: [&str; 9] = [
    "fsync",
    "synchronous_commit",
    "full_page_writes",
    "shared_buffers",
    "max_wal_size",
    "checkpoint_timeout",
    "autovacuum",
    "jit",
    "shared_preload_libraries",
];

/// Machine, versions, settings.
pub(crate) async fn look(stage: &Stage) -> Result<BTreeMap<String, String>> {
    let pool = stage.administration();
    let mut all = BTreeMap::new();
    let mut add = |name: &str, value: String| all.insert(name.to_owned(), value);
    add(
        "build",
        if cfg!(debug_assertions) {
            "debug: figures mean nothing"
        } else {
            "release"
        }
        .to_owned(),
    );
    add(
        "commit",
        output("git", &["describe", "--always", "--dirty"]),
    );
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    add(
        "machine",
        format!(
            "{cores} cores, {}, {} of memory",
            field("/proc/cpuinfo", "model name"),
            field("/proc/meminfo", "MemTotal")
        ),
    );
    add("kernel", output("uname", &["-srm"]));
    add(
        "load before",
        fs::read_to_string("/proc/loadavg")
            .unwrap_or_default()
            .trim()
            .to_owned(),
    );
    add(
        "postgres",
        sqlx::query_scalar::<_, String>("SELECT version()")
            .fetch_one(&pool)
            .await?,
    );
    let nats = find_nats_server()?;
    add(
        "history",
        if stage.has_hypertables().await? {
            "hypertables of TimescaleDB"
        } else {
            "native partitions"
        }
        .to_owned(),
    );
    add(
        "nats",
        output(&nats.to_string_lossy(), &["--version"]) + ", file storage",
    );
    let settings: Vec<(String, String)> = sqlx::query_as(
        "SELECT name, current_setting(name) FROM pg_settings WHERE name = ANY($1) ORDER BY name",
    )
    .bind(TOLD.map(str::to_owned).to_vec())
    .fetch_all(&pool)
    .await?;
    let settings: Vec<String> = settings
        .into_iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    add("postgres settings", settings.join(" "));
    pool.close().await;
    Ok(all)
}

/// Empty when it cannot be told.
fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output
        .map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
        .unwrap_or_default()
}

/// The first line `name: value` of a file.
fn field(file: &str, name: &str) -> String {
    let text = fs::read_to_string(file).unwrap_or_default();
    let line = text
        .lines()
        .find(|line| line.starts_with(name))
        .unwrap_or_default();
    line.split_once(':')
        .map_or("unknown", |(_, value)| value.trim())
        .to_owned()
}
