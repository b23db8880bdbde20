//! The machine, versions and settings of a run.

use crate::stage::Stage;
use anyhow::Result;
use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use tiris_testing::find_nats_server;
use tiris_tools::proc_field;

pub(crate) async fn describe(stage: &Stage) -> Result<BTreeMap<String, String>> {
    let (postgres, settings): (String, String) = sqlx::query_as(
        "SELECT version(), string_agg(name || '=' || current_setting(name), ' ' ORDER BY name) FROM pg_settings \
         WHERE name IN ('fsync', 'synchronous_commit', 'full_page_writes', 'shared_buffers', 'max_wal_size', \
         'checkpoint_timeout', 'autovacuum', 'jit', 'shared_preload_libraries')",
    )
    .fetch_one(&stage.admin)
    .await?;
    let build = match cfg!(debug_assertions) {
        true => "debug: the figures are meaningless",
        false => "release",
    };
    let history = match stage.has_hypertables {
        true => "hypertables of TimescaleDB",
        false => "native partitions",
    };

    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let model = proc_field("/proc/cpuinfo", "model name").unwrap_or_default();
    let memory = proc_field("/proc/meminfo", "MemTotal").unwrap_or_default();
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let commit = output("git", &["describe", "--always", "--dirty"]);
    let nats = output(&find_nats_server()?.to_string_lossy(), &["--version"]);
    let all = [
        ("build", build.to_owned()),
        ("commit", commit),
        ("history", history.to_owned()),
        ("kernel", output("uname", &["-srm"])),
        ("load before", load.trim().to_owned()),
        (
            "machine",
            format!("{cores} cores, {model}, {memory} of memory"),
        ),
        ("nats", nats + ", file storage"),
        ("postgres", postgres),
        ("postgres settings", settings),
    ];
    Ok(all.map(|(name, value)| (name.to_owned(), value)).into())
}

/// Returns the output of a program, empty when it cannot be run.
fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output
        .map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
        .unwrap_or_default()
}
