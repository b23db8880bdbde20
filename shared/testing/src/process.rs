//! A process we started and answer for.
//!
//! Owns: its signals, its end, the waits for what it does, its log. Must not know: which program it is.

use super::http::local_http_client;
use super::leash;
use super::wait::{POLL_INTERVAL, eventually};
use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus};
use std::time::Duration;
use tokio::time::Instant;

/// How much of a log is shown, in bytes and in lines from its end.
const TAIL_BYTES: u64 = 6 * 1024;
const TAIL_LINES: usize = 25;
/// The kernel ends a killed process within this time unless the machine is stuck.
const KILL_LIMIT: Duration = Duration::from_secs(10);
/// How long a drop waits for an orderly end before it kills.
const DROP_LIMIT: Duration = Duration::from_secs(5);
/// One request of [`Process::wait_until_healthy`].
const REQUEST_LIMIT: Duration = Duration::from_secs(5);

/// A running process. Dropping it kills it (SIGKILL) and prints the end of its log; so does our own death, however
/// it comes, but for the log.
#[derive(Debug)]
pub struct Process {
    pub(super) name: String,
    pub(super) child: Child,
    pub(super) status: Option<ExitStatus>,
    pub(super) log: PathBuf,
    pub(super) leashed: bool,
    pub(super) show_log: bool,
    pub(super) detached: bool,
}

impl Process {
    /// Its name in messages.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its process number.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The file with all it wrote to standard output and error.
    #[must_use]
    pub fn log_path(&self) -> &Path {
        &self.log
    }

    /// The end of its log, at most 25 lines and 6 KiB; what cannot be read is left out.
    #[must_use]
    pub fn log_tail(&self) -> String {
        let tail = || -> std::io::Result<String> {
            let mut file = File::open(&self.log)?;
            let start = file.metadata()?.len().saturating_sub(TAIL_BYTES);
            file.seek(SeekFrom::Start(start))?;
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        };
        let text = tail().unwrap_or_default();
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        lines[lines.len().saturating_sub(TAIL_LINES)..].concat()
    }

    /// How it ended; `None` while it runs.
    pub fn exit_status(&mut self) -> Result<Option<ExitStatus>> {
        if self.status.is_none() {
            self.status = self
                .child
                .try_wait()
                .with_context(|| format!("cannot wait for {}", self.name))?;
            if self.status.is_some() && self.leashed {
                leash::free(self.pid())?;
            }
        }
        Ok(self.status)
    }

    /// Whether it runs.
    #[must_use]
    pub fn is_running(&mut self) -> bool {
        matches!(self.exit_status(), Ok(None))
    }

    /// Sends it a signal; does nothing when it has ended.
    pub fn signal(&mut self, signal: Signal) -> Result<()> {
        if self.exit_status()?.is_some() {
            return Ok(());
        }
        let pid = Pid::from_raw(i32::try_from(self.pid()).context("process number out of range")?);
        kill(pid, signal).with_context(|| format!("cannot send {signal} to {}", self.name))
    }

    /// Waits for its end, at most `limit`.
    pub async fn wait(&mut self, limit: Duration) -> Result<ExitStatus> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.exit_status()? {
                return Ok(status);
            }
            if Instant::now() >= deadline {
                bail!("{} still runs after {} s", self.name, limit.as_secs_f32());
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// SIGTERM, then waits for its end, at most `limit`. When it does not end it stays running: an error.
    pub async fn terminate(&mut self, limit: Duration) -> Result<ExitStatus> {
        self.signal(Signal::SIGTERM)?;
        self.wait(limit).await
    }

    /// SIGKILL, then waits for its end.
    pub async fn kill(&mut self) -> Result<()> {
        self.signal(Signal::SIGKILL)?;
        self.wait(KILL_LIMIT).await.map(drop)
    }

    /// Waits until its log holds `text`, at most `limit`; fails at once when it ends before.
    pub async fn wait_for_log(&mut self, text: &str, limit: Duration) -> Result<()> {
        let what = format!("{:?} in the log of {}", text, self.name);
        self.watch(&what, limit, async |process| {
            let log = std::fs::read(&process.log)?;
            ensure!(
                String::from_utf8_lossy(&log).contains(text),
                "not there yet"
            );
            Ok(())
        })
        .await
    }

    /// Waits until `GET url` answers 200, at most `limit`; fails at once when the process ends before.
    pub async fn wait_until_healthy(&mut self, url: &str, limit: Duration) -> Result<()> {
        let client = local_http_client(REQUEST_LIMIT)?;
        let what = format!("{} ready at {url}", self.name);
        self.watch(&what, limit, async |_| {
            let answer = client.get(url).send().await?;
            let status = answer.status();
            ensure!(status.as_u16() == 200, "{status}: {}", answer.text().await?);
            Ok(())
        })
        .await
    }

    /// Waits until `check` succeeds, at most `limit`; fails at once when the process ends before.
    pub(super) async fn watch(
        &mut self,
        what: &str,
        limit: Duration,
        check: impl AsyncFn(&Self) -> Result<()>,
    ) -> Result<()> {
        let outcome = eventually(what, limit, async || -> Result<Result<()>> {
            if let Some(status) = self.exit_status()? {
                return Ok(Err(anyhow::anyhow!("{} ended: {status}", self.name)));
            }
            check(self).await.map(Ok)
        })
        .await;
        let outcome = outcome.and_then(std::convert::identity);
        outcome.with_context(|| format!("log of {}:\n{}", self.name, self.log_tail()))
    }

    /// Waits for its end without a runtime, for use while something is dropped.
    #[expect(
        clippy::disallowed_methods,
        reason = "a drop cannot be async, and the pauses are short"
    )]
    pub(super) fn wait_briefly(&mut self) {
        let deadline = std::time::Instant::now() + DROP_LIMIT;
        while self.is_running() && std::time::Instant::now() < deadline {
            std::thread::sleep(POLL_INTERVAL);
        }
    }

    /// Lets go of it: it lives on by itself.
    pub(super) fn detach(mut self) {
        self.detached = true;
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.detached {
            return;
        }
        if self.is_running() {
            // It may end between the two lines; then both do nothing.
            self.child.kill().ok();
            if self.child.wait().is_ok() && self.leashed {
                leash::free(self.pid()).ok();
            }
        }

        if self.show_log {
            println!(
                "--- end of the log of {} ---\n{}---",
                self.name,
                self.log_tail()
            );
        }
    }
}
