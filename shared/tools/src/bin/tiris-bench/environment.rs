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
const SETTINGS: [&str; 9] = [
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
    let build = if cfg!(debug_assertions) {
        "debug: figures mean nothing"
    } else {
        "release"
    };
    let history = if stage.has_hypertables().await? {
        "hypertables of TimescaleDB"
    } else {
        "native partitions"
    };
    let machine = format!(
        "{} cores, {}, {} of memory",
        std::thread::available_parallelism().map_or(0, usize::from),
        field("/proc/cpuinfo", "model name"),
        field("/proc/meminfo", "MemTotal")
    );
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let nats = output(&find_nats_server()?.to_string_lossy(), &["--version"]);

    let pool = stage.administration();
    let postgres: String = sqlx::query_scalar("SELECT version()")
        .fetch_one(&pool)
        .await?;
    let settings: String = sqlx::query_scalar(
        "SELECT string_agg(name || '=' || current_setting(name), ' ' ORDER BY name) FROM pg_settings \
         WHERE name = ANY($1)",
    )
    .bind(SETTINGS.map(str::to_owned).to_vec())
    .fetch_one(&pool)
    .await?;
    pool.close().await;

    let all = [
        ("build", build.to_owned()),
        (
            "commit",
            output("git", &["describe", "--always", "--dirty"]),
        ),
        ("history", history.to_owned()),
        ("kernel", output("uname", &["-srm"])),
        ("load before", load.trim().to_owned()),
        ("machine", machine),
        ("nats", nats + ", file storage"),
        ("postgres", postgres),
        ("postgres settings", settings),
    ];
    Ok(all.map(|(name, value)| (name.to_owned(), value)).into())
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
