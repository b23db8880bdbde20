//! The API behind a proxy that leads to whichever process serves.
//!
//! Owns: its processes and tokens. Must not know: what is asked.

use super::proxy::Proxy;
use super::settings::{EXIT_LIMIT, database_url};
use anyhow::{Result, ensure};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tiris_tools::ApiServer;

/// How long a request may take, as the API is told.
pub(crate) const REQUEST_LIMIT: Duration = Duration::from_secs(6);
/// From the switch to SIGTERM, as a load balancer that was told leaves it.
const DRAIN: Duration = Duration::from_millis(200);

/// The API.
#[derive(Debug)]
pub(crate) struct Api {
    server: ApiServer,
    /// What clients connect to.
    front: Proxy,
    /// Its way to PostgreSQL.
    pub(crate) postgres: Proxy,
    logs: PathBuf,
    started: u32,
}

impl Api {
    pub(crate) async fn start(postgres: u16, logs: &Path) -> Result<Self> {
        let postgres = Proxy::start(postgres).await?;
        let server = launch(postgres.port(), logs, 0).await?;
        Ok(Self {
            front: Proxy::start(server.port()).await?,
            server,
            postgres,
            logs: logs.to_owned(),
            started: 1,
        })
    }

    /// The address clients use.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.front.port())
    }

    /// Starts a successor, leads new connections to it, and ends the one before; returns how long its end took.
    pub(crate) async fn replace(&mut self) -> Result<Duration> {
        let server = launch(self.postgres.port(), &self.logs, self.started).await?;
        self.started += 1;
        self.front.lead_to(server.port());
        let mut before = std::mem::replace(&mut self.server, server).process;
        tokio::time::sleep(DRAIN).await;

        let begun = Instant::now();
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
        self.server.token(email).await
    }
}

async fn launch(postgres: u16, logs: &Path, number: u32) -> Result<ApiServer> {
    let mut server = ApiServer::launch(&database_url(postgres), logs, |command| {
        command
            .name(format!("api {number}"))
            .env("TIRIS_REQUEST_SECONDS", REQUEST_LIMIT.as_secs().to_string())
            .log(logs.join(format!("api-{number}.log")))
    })?;
    server.wait_until_ready().await?;
    Ok(server)
}
