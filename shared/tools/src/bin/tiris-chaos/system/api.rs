//! The API behind a proxy that leads to whichever process serves.
//!
//! Owns: its processes, tokens, and asking it. Must not know: what is asked.

use super::proxy::Proxy;
use super::{DATABASE, EXIT_LIMIT, READY_LIMIT};
use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tiris_testing::{Process, binary, free_port};

/// How long a request may take, as the API is told.
pub(crate) const REQUEST_LIMIT: Duration = Duration::from_secs(6);
/// From the switch to SIGTERM, as a load balancer that was told leaves it.
const DRAIN: Duration = Duration::from_millis(200);

/// The API.
#[derive(Debug)]
pub(crate) struct Api {
    process: Process,
    /// What clients connect to.
    pub(crate) front: Proxy,
    /// Its way to PostgreSQL.
    pub(crate) postgres: Proxy,
    logs: PathBuf,
    started: u32,
}

#[derive(Deserialize)]
struct Printed {
    token: String,
}

impl Api {
    pub(crate) async fn start(postgres: u16, logs: &Path) -> Result<Self> {
        let postgres = Proxy::start(postgres).await?;
        let (process, port) = launch(postgres.port(), logs, 0).await?;
        let front = Proxy::start(port).await?;
        Ok(Self {
            process,
            front,
            postgres,
            logs: logs.to_owned(),
            started: 1,
        })
    }

    /// The address clients use.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.front.port())
    }

    /// Starts a successor, leads new connections to it, and ends the one before; answers how long its end took.
    pub(crate) async fn replace(&mut self) -> Result<Duration> {
        let (process, port) = launch(self.postgres.port(), &self.logs, self.started).await?;
        self.started += 1;
        let mut before = std::mem::replace(&mut self.process, process);
        self.front.lead_to(port);
        tokio::time::sleep(DRAIN).await;
        let begun = std::time::Instant::now();
        let exit = before.terminate(EXIT_LIMIT).await?;
        ensure!(
            exit.code() == Some(0),
            "tiris-api ended with {exit}:\n{}",
            before.log_tail()
        );
        Ok(begun.elapsed())
    }

    /// A token for the user with this address.
    pub(crate) async fn token(&self, email: &str) -> Result<String> {
        let output = tokio::process::Command::new(binary("tiris-api")?)
            .args(["token", "--json", "--email", email])
            .env("DATABASE_URL", database_url(self.postgres.port()))
            .env("TIRIS_ENV", "dev")
            .env("TIRIS_JWT_KEY_FILE", self.logs.join("jwt.pem"))
            .output()
            .await?;
        if !output.status.success() {
            bail!(
                "no token: tiris-api says: {}",
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        let printed: Printed =
            serde_json::from_slice(&output.stdout).context("no token was printed")?;
        Ok(printed.token)
    }
}

fn database_url(port: u16) -> String {
    format!("postgres://tiris@127.0.0.1:{port}/{DATABASE}")
}

async fn launch(postgres: u16, logs: &Path, number: u32) -> Result<(Process, u16)> {
    let (port, admin_port) = (free_port()?, free_port()?);
    let mut process = Process::command(binary("tiris-api")?)
        .name(format!("api {number}"))
        .arg("serve")
        .env("DATABASE_URL", database_url(postgres))
        .env("TIRIS_ENV", "dev")
        .env("TIRIS_JWT_KEY_FILE", logs.join("jwt.pem"))
        .env("TIRIS_API_LISTEN", format!("127.0.0.1:{port}"))
        .env("TIRIS_ADMIN_LISTEN", format!("127.0.0.1:{admin_port}"))
        .env("TIRIS_REQUEST_SECONDS", REQUEST_LIMIT.as_secs().to_string())
        // A few users ask as fast as they can.
        .env("TIRIS_RATE_GENERAL", "off")
        .env("TIRIS_RATE_MONEY", "off")
        .log(logs.join(format!("api-{number}.log")))
        .show_log(false)
        .spawn()?;
    let ready = format!("http://127.0.0.1:{admin_port}/health/ready");
    process.wait_until_healthy(&ready, READY_LIMIT).await?;
    Ok((process, port))
}
