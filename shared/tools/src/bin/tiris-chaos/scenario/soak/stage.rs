//! The servers and programs of the soak, without proxies.

use super::load::USERS;
use crate::scenario::servers::Servers;
use anyhow::{Result, ensure};
use std::time::Duration;
use tiris_testing::eventually;
use tiris_tools::{ApiServer, Service, booked_events};

const WORKERS: usize = 2;
/// Longest wait for the last commit after the end of the load.
const SETTLE_LIMIT: Duration = Duration::from_secs(120);

pub(super) struct Stage {
    // Fields are dropped in this order: programs before servers.
    pub(super) api: ApiServer,
    workers: Vec<Service>,
    pub(super) servers: Servers,
}

impl Stage {
    /// Starts everything and waits until it is ready.
    pub(super) async fn start() -> Result<Self> {
        let servers = Servers::start("soak", USERS).await?;
        let url = &servers.database_url;
        let nats = servers.nats.url();
        let folder = servers.folder();

        let mut workers = Vec::new();
        for slot in 0..WORKERS {
            let log = folder.join(format!("ingest-{slot}.log"));
            let mut worker = Service::launch("tiris-ingest", "run", url, |command| {
                command.env("NATS_URL", &nats).log(log)
            })?;
            worker.wait_until_ready().await?;
            workers.push(worker);
        }
        let log = folder.join("api.log");
        let mut api = ApiServer::launch(url, folder, |command| {
            command.env("NATS_URL", &nats).log(log)
        })?;
        api.wait_until_ready().await?;

        Ok(Self {
            api,
            workers,
            servers,
        })
    }

    /// Returns the programs by name, each with its process number.
    pub(super) fn processes(&self) -> Vec<(String, u32)> {
        let workers = self.workers.iter().enumerate();
        let workers = workers.map(|(slot, worker)| (format!("ingest {slot}"), worker));
        let api = ("api".to_owned(), &self.api.service);

        std::iter::once(api)
            .chain(workers)
            .map(|(name, service)| (name, service.process.pid()))
            .collect()
    }

    /// Waits until the books hold so many movements.
    pub(super) async fn wait_until_booked(&self, movements: u64) -> Result<()> {
        eventually("the last commit", SETTLE_LIMIT, async || {
            let done = booked_events(&self.servers.pool).await?;
            ensure!(done == movements, "{done} of {movements}");
            Ok(())
        })
        .await
    }
}
