//! The clients of the API: wrk, a process of its own.
//!
//! Owns: its scripts, arguments and what it prints. Must not know: what the answers mean.

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

/// How connections rest, and the result as the last line.
const DONE: &str = include_str!("wrk/done.lua");
/// Reads the file of those who trade.
const DESKS: &str = include_str!("wrk/desks.lua");
const GET: &str = include_str!("wrk/get.lua");
const LOG: &str = include_str!("wrk/log.lua");
const PORTAL: &str = include_str!("wrk/portal.lua");
/// Above this many connections a second thread helps.
const CONNECTIONS_PER_THREAD: u32 = 500;
const ANSWER_LIMIT: &str = "15s";

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ask {
    /// One path, again and again.
    Get,
    /// A trading log that moves money, each with a key of its own.
    Log,
    /// What people at a portal do, four fifths of it reading.
    Portal,
}

impl Ask {
    fn script(self) -> String {
        match self {
            Self::Get => GET.to_owned(),
            Self::Log => format!("{DESKS}\n{LOG}"),
            Self::Portal => format!("{DESKS}\n{PORTAL}"),
        }
    }
}

/// A load.
#[derive(Clone, Debug)]
pub(crate) struct Load<'a> {
    pub(crate) ask: Ask,
    pub(crate) connections: u32,
    pub(crate) time: Duration,
    /// How long each connection rests between an answer and the next request, in microseconds on average.
    pub(crate) rest_micros: u64,
    /// Path, or file of accounts.
    pub(crate) what: &'a str,
    /// Token, or nothing where the file has them.
    pub(crate) token: &'a str,
}

/// What came back.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Answered {
    /// Answers that came, of any status.
    pub(crate) requests: u64,
    micros: u64,
    /// Connections, reads, writes and waits that failed.
    broken: u64,
    /// Answers that are no success.
    refused: u64,
    pub(crate) p50: u64,
    pub(crate) p99: u64,
}

impl Answered {
    /// Answers a second.
    pub(crate) fn rate(&self) -> u64 {
        crate::figure::per_second(self.requests, Duration::from_micros(self.micros))
    }
}

/// Asks for so long; every request must succeed.
pub(crate) async fn ask(url: &str, folder: &Path, load: &Load<'_>) -> Result<Answered> {
    let file = folder.join("wrk.lua");
    std::fs::write(&file, format!("{}\n{DONE}", load.ask.script()))?;
    let threads = load.connections.div_ceil(CONNECTIONS_PER_THREAD);
    let output = tokio::process::Command::new("wrk")
        .arg(format!("--threads={threads}"))
        .arg(format!("--connections={}", load.connections))
        .arg(format!("--duration={}s", load.time.as_secs().max(1)))
        .args(["--timeout", ANSWER_LIMIT, "--script"])
        .arg(&file)
        .args([url, "--", load.what])
        .args([&load.rest_micros.to_string(), load.token])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .context("cannot run wrk: run `tiris-dev tools --bench`")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    let last = text.lines().last().unwrap_or_default();
    let answered: Answered = serde_json::from_str(last)
        .with_context(|| format!("wrk failed: {} {}", errors.trim(), text.trim()))?;
    ensure!(
        answered.broken == 0 && answered.refused == 0 && answered.requests > 0,
        "of {} requests {} were refused and {} broken",
        answered.requests,
        answered.refused,
        answered.broken
    );

    Ok(answered)
}
