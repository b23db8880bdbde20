//! HTTP load by `wrk`: its scripts, arguments and output.

use crate::figure::per_second;
use crate::site::Bench;
use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use std::time::Duration;
use tiris_tools::run_program;

/// Pauses of connections, and the result as the last line.
const DONE: &str = include_str!("wrk/done.lua");
/// Reads the file of traders.
const TRADERS: &str = include_str!("wrk/traders.lua");
const GET: &str = include_str!("wrk/get.lua");
const LOG: &str = include_str!("wrk/log.lua");
const PORTAL: &str = include_str!("wrk/portal.lua");
/// Above this many connections a second thread helps.
const CONNECTIONS_PER_THREAD: u32 = 500;
const RESPONSE_LIMIT: &str = "15s";

/// The requests of a load.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Request<'a> {
    /// Always the same path.
    Get { path: &'a str, token: &'a str },
    /// Trading logs that move money, each with its own idempotency key.
    Log { traders: &'a str },
    /// The mix of a portal, four fifths of it reads.
    Portal { traders: &'a str },
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Load<'a> {
    pub(crate) request: Request<'a>,
    pub(crate) connections: u32,
    pub(crate) time: Duration,
    /// The mean pause of a connection between a response and its next request.
    pub(crate) pause_micros: u64,
}

/// The result of a load.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Responses {
    /// The number of responses of any status.
    pub(crate) requests: u64,
    micros: u64,
    /// Failed connects, reads, writes, and timeouts.
    broken: u64,
    /// Responses without success.
    refused: u64,
    pub(crate) p50: u64,
    pub(crate) p99: u64,
}

impl Responses {
    pub(crate) fn rate(&self) -> u64 {
        per_second(self.requests, Duration::from_micros(self.micros))
    }
}

/// Runs a load against the API at `url`; every request must succeed.
pub(crate) async fn run(bench: &Bench, url: &str, load: Load<'_>) -> Result<Responses> {
    let (script, target, token) = match load.request {
        Request::Get { path, token } => (GET.to_owned(), path, token),
        Request::Log { traders } => (format!("{TRADERS}\n{LOG}"), traders, "-"),
        Request::Portal { traders } => (format!("{TRADERS}\n{PORTAL}"), traders, "-"),
    };
    let file = bench.stage.folder.path().join("wrk.lua");
    std::fs::write(&file, format!("{script}\n{DONE}"))?;

    let threads = load.connections.div_ceil(CONNECTIONS_PER_THREAD);
    let mut command = tokio::process::Command::new("wrk");
    command
        .arg(format!("--threads={threads}"))
        .arg(format!("--connections={}", load.connections))
        .arg(format!("--duration={}s", load.time.as_secs()))
        .args(["--timeout", RESPONSE_LIMIT, "--script"])
        .arg(&file)
        .args([url, "--", target, &load.pause_micros.to_string(), token]);
    let text = run_program(&mut command)
        .await
        .context("`tiris-dev tools --bench` installs wrk")?;

    let last = text.lines().last().unwrap_or_default();
    let responses: Responses =
        serde_json::from_str(last).with_context(|| format!("wrk printed no result: {text}"))?;
    ensure!(
        responses.broken == 0 && responses.refused == 0 && responses.requests > 0,
        "of {} requests {} were refused and {} broken",
        responses.requests,
        responses.refused,
        responses.broken
    );
    Ok(responses)
}
