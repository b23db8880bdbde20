//! The worker as a process, with the reports of its admin listener.

use crate::http::get;
use crate::world::{LANES, WAIT, World};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::process::{Command, Output};
use std::time::Duration;
use tiris_testing::{Process, Role, binary, eventually, free_port, url_as};

/// Longest time from SIGTERM to the exit, whatever is down.
const EXIT_LIMIT: Duration = Duration::from_secs(20);

/// The shortest lease, so that a takeover is fast.
pub(crate) const LEASE_SECONDS: u64 = 2;

pub(crate) struct Worker {
    pub(crate) process: Process,
    listen: String,
}

impl World {
    pub(crate) fn worker(&self) -> Result<Worker> {
        self.worker_with(&[])
    }

    pub(crate) fn worker_with(&self, settings: &[(&str, &str)]) -> Result<Worker> {
        Worker::start(self.database.url(), &self.nats.url(), settings)
    }

    pub(crate) async fn ready_worker(&self) -> Result<Worker> {
        let mut worker = self.worker()?;
        worker.ready().await?;
        Ok(worker)
    }
}

impl Worker {
    pub(crate) fn start(
        database_url: &str,
        nats_url: &str,
        settings: &[(&str, &str)],
    ) -> Result<Self> {
        let listen = format!("127.0.0.1:{}", free_port()?);
        let command = Process::command(binary("tiris-ingest")?)
            .arg("run")
            .env("DATABASE_URL", url_as(database_url, Role::Ingest)?)
            .env("NATS_URL", nats_url)
            .env("TIRIS_LANES", LANES.to_string())
            .env("TIRIS_LEASE_SECONDS", LEASE_SECONDS.to_string())
            .env("TIRIS_ADMIN_LISTEN", &listen);

        let process = settings
            .iter()
            .fold(command, |command, (name, value)| command.env(name, value))
            .spawn()?;

        Ok(Self { process, listen })
    }

    /// Runs `tiris-ingest health` against this worker.
    pub(crate) fn health(&self, flags: &[&str]) -> Result<Output> {
        let mut command = Command::new(binary("tiris-ingest")?);
        command
            .arg("health")
            .args(flags)
            .env("TIRIS_ADMIN_LISTEN", &self.listen);
        Ok(command.output()?)
    }

    /// Waits until the metrics have a line that begins with `line`.
    pub(crate) async fn counts(&self, line: &str) -> Result<()> {
        eventually(line, WAIT, async || {
            let text = self.metrics().await?;
            ensure!(text.lines().any(|found| found.starts_with(line)), "{text}");
            Ok(())
        })
        .await
    }

    pub(crate) async fn metrics(&self) -> Result<String> {
        get(&format!("http://{}/metrics", self.listen)).await
    }

    fn readiness(&self) -> String {
        format!("http://{}/health/ready", self.listen)
    }

    pub(crate) async fn ready(&mut self) -> Result<()> {
        let url = self.readiness();
        self.process.wait_until_healthy(&url, WAIT).await
    }

    /// Waits until exactly the checks `names` fail and the report holds `detail`.
    pub(crate) async fn fails(&self, names: &[&str], detail: &str) -> Result<()> {
        let client = crate::http::client()?;
        eventually(&format!("{names:?} not ready"), WAIT, async || {
            let answer = client.get(self.readiness()).send().await?;
            ensure!(answer.status().as_u16() == 503, "{}", answer.status());

            let body: Value = serde_json::from_str(&answer.text().await?)?;
            let checks = body["error"]["details"].as_object().context("checks")?;
            let failing: Vec<&String> = checks
                .iter()
                .filter(|(_, check)| check["ok"] == false)
                .map(|(name, _)| name)
                .collect();
            ensure!(failing == names, "{body}");
            ensure!(body.to_string().contains(detail), "{body}");

            let message = body["error"]["message"].as_str().unwrap_or_default();
            ensure!(names.iter().all(|name| message.contains(name)), "{message}");
            Ok(())
        })
        .await
    }

    pub(crate) async fn stops(&mut self) -> Result<()> {
        let exit = self.process.terminate(EXIT_LIMIT).await?;
        ensure!(exit.code() == Some(0), "{exit}");
        Ok(())
    }
}
