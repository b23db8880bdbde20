//! The API behind a proxy that leads to the serving process, which can be replaced.

use super::database_url;
use anyhow::Result;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tiris_testing::Proxy;
use tiris_tools::{ApiServer, Build};

/// The configured limit of a request.
pub(crate) const REQUEST_LIMIT: Duration = Duration::from_secs(6);
/// From the switch to SIGTERM, as behind a load balancer.
pub(crate) const DRAIN: Duration = Duration::from_millis(200);

#[derive(Debug)]
pub(crate) struct Api {
    server: ApiServer,
    build: Build,
    /// The proxy that clients connect to.
    front: Proxy,
    /// The proxy in front of PostgreSQL.
    pub(crate) postgres: Proxy,
    logs: PathBuf,
}

impl Api {
    /// Starts an API and waits until it is ready.
    pub(crate) async fn start(build: Build, postgres: u16, logs: &Path) -> Result<Self> {
        let postgres = Proxy::start(postgres).await?;
        let server = launch(&build, postgres.port, logs).await?;
        Ok(Self {
            front: Proxy::start(server.port()).await?,
            server,
            build,
            postgres,
            logs: logs.to_owned(),
        })
    }

    /// Returns the URL for clients.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.front.port)
    }

    /// Starts a successor, leads new connections to it, and stops the predecessor; returns how long that stop took.
    pub(crate) async fn replace(&mut self) -> Result<Duration> {
        let server = launch(&self.build, self.postgres.port, &self.logs).await?;
        self.front.lead_to(server.port());
        let mut predecessor = std::mem::replace(&mut self.server, server);

        tokio::time::sleep(DRAIN).await;
        predecessor.service.stop().await
    }

    /// Stops the serving process.
    pub(crate) async fn stop(&mut self) -> Result<Duration> {
        self.server.service.stop().await
    }

    /// Starts a process in place of the ended one.
    pub(crate) async fn start_again(&mut self) -> Result<()> {
        self.server = launch(&self.build, self.postgres.port, &self.logs).await?;
        self.front.lead_to(self.server.port());
        Ok(())
    }

    /// Returns the URL of the readiness of the serving process.
    pub(crate) fn ready_url(&self) -> String {
        self.server.service.ready_url()
    }

    /// Returns a token of the user with this address.
    pub(crate) async fn token(&self, email: &str) -> Result<String> {
        self.server.token(email).await
    }
}

async fn launch(build: &Build, postgres: u16, logs: &Path) -> Result<ApiServer> {
    let mut server = ApiServer::launch_of(build, &database_url(postgres), logs, |command| {
        command
            .env("TIRIS_REQUEST_SECONDS", REQUEST_LIMIT.as_secs().to_string())
            .log(logs.join("api.log"))
    })?;
    server.wait_until_ready().await?;
    Ok(server)
}
