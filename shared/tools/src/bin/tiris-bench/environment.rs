//! The machine, versions and settings of a run.

use crate::stage::Stage;
use anyhow::Result;
use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use tiris_testing::find_nats_server;

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
    let model = field("/proc/cpuinfo", "model name").unwrap_or_default();
    let memory = field("/proc/meminfo", "MemTotal").unwrap_or_default();
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

/// Returns the memory of a process in KiB: `VmRSS` is resident now, `VmHWM` the peak. None where there is no `/proc`.
pub(crate) fn memory_kib(pid: u32, name: &str) -> Option<u64> {
    let text = field(&format!("/proc/{pid}/status"), name)?;
    text.split_whitespace().next()?.parse().ok()
}

/// Returns the value of the first line `name: value` of a file.
fn field(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// Returns the output of a program, empty when it cannot be run.
fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output
        .map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::memory_kib;

    #[test]
    #[cfg_attr(not(target_os = "linux"), ignore = "needs /proc")]
    fn reads_the_memory_of_a_process() {
        let own = std::process::id();

        let resident = memory_kib(own, "VmRSS").expect("this process uses memory");

        assert!(resident > 0);
        assert!(Some(resident) <= memory_kib(own, "VmHWM"));
        assert_eq!(memory_kib(0, "VmRSS"), None);
    }
}
