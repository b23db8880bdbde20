//! A process that this process started: its signals, its end, its log, and waiting for it.

use super::guard;
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

/// The part of a log that is shown, from its end.
const TAIL_BYTES: u64 = 6 * 1024;
const TAIL_LINES: usize = 25;
/// How long the kernel may take to end a killed process.
const KILL_LIMIT: Duration = Duration::from_secs(10);
/// How long a drop waits for an orderly end before it kills the process.
const DROP_LIMIT: Duration = Duration::from_secs(5);
/// Limit of one request of [`Process::wait_until_healthy`].
const REQUEST_LIMIT: Duration = Duration::from_secs(5);

/// A running process. Dropping it kills it (SIGKILL) and prints the end of its log; the death of this process kills it, too.
#[derive(Debug)]
pub struct Process {
    pub(super) name: String,
    pub(super) child: Child,
    pub(super) status: Option<ExitStatus>,
    pub(super) log: PathBuf,
    pub(super) is_guarded: bool,
    pub(super) show_log: bool,
    pub(super) is_detached: bool,
}

impl Process {
    /// Returns the name used in messages.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the process number.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Returns the file with its standard output and error.
    #[must_use]
    pub fn log_path(&self) -> &Path {
        &self.log
    }

    /// Returns the end of its log, at most 25 lines and 6 KiB; empty when it cannot be read.
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

    /// Returns its exit status; None while it runs.
    pub fn exit_status(&mut self) -> Result<Option<ExitStatus>> {
        if self.status.is_none() {
            self.status = self
                .child
                .try_wait()
                .with_context(|| format!("cannot wait for {}", self.name))?;
            if self.status.is_some() && self.is_guarded {
                guard::free(self.pid())?;
            }
        }
        Ok(self.status)
    }

    /// Reports whether it runs.
    #[must_use]
    pub fn is_running(&mut self) -> bool {
        matches!(self.exit_status(), Ok(None))
    }

    /// Sends a signal; does nothing when the process has ended.
    pub fn signal(&mut self, signal: Signal) -> Result<()> {
        if self.exit_status()?.is_some() {
            return Ok(());
        }
        let pid = Pid::from_raw(i32::try_from(self.pid()).context("process number out of range")?);
        kill(pid, signal).with_context(|| format!("cannot send {signal} to {}", self.name))
    }

    /// Waits at most `limit` for its end.
    pub async fn wait(&mut self, limit: Duration) -> Result<ExitStatus> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.exit_status()? {
                return Ok(status);
            }
            if Instant::now() >= deadline {
                bail!(
                    "{} is still running after {} s",
                    self.name,
                    limit.as_secs_f32()
                );
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// Sends SIGTERM and waits at most `limit` for the end; fails when the process is still running.
    pub async fn terminate(&mut self, limit: Duration) -> Result<ExitStatus> {
        self.signal(Signal::SIGTERM)?;
        self.wait(limit).await
    }

    /// Sends SIGKILL and waits for the end.
    pub async fn kill(&mut self) -> Result<()> {
        self.signal(Signal::SIGKILL)?;
        self.wait(KILL_LIMIT).await.map(drop)
    }

    /// Waits at most `limit` until its log contains `text`; fails at once when the process ends.
    pub async fn wait_for_log(&mut self, text: &str, limit: Duration) -> Result<()> {
        let what = format!("{:?} in the log of {}", text, self.name);
        self.watch(&what, limit, async |process| {
            let log = std::fs::read(&process.log)?;
            ensure!(
                String::from_utf8_lossy(&log).contains(text),
                "not logged yet"
            );
            Ok(())
        })
        .await
    }

    /// Waits at most `limit` until `GET url` returns 200; fails at once when the process ends.
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

    /// Waits at most `limit` until `check` succeeds; fails at once when the process ends.
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

    /// Waits for its end without a runtime, for use in a drop.
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

    /// Lets it run on without this value.
    pub(super) fn detach(mut self) {
        self.is_detached = true;
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.is_detached {
            return;
        }
        if self.is_running() {
            // It may have ended meanwhile; then both calls do nothing.
            self.child.kill().ok();
            if self.child.wait().is_ok() && self.is_guarded {
                guard::free(self.pid()).ok();
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

/// Returns a client for servers on this machine, which uses no proxy.
pub fn local_http_client(timeout: Duration) -> reqwest::Result<reqwest::Client> {
    tiris_runtime::tls::choose_provider();
    reqwest::Client::builder()
        .timeout(timeout)
        .no_proxy()
        .build()
}
