//! The servers and programs of the soak, without proxies.

use super::load::USERS;
use anyhow::{Result, ensure};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use std::time::Duration;
use tempfile::TempDir;
use tiris_testing::{NatsServer, NatsSettings, PgServer, PgSettings, eventually, scratch_dir};
use tiris_tools::{ApiServer, Service, booked_events};

const WORKERS: usize = 2;
/// Longest wait for the last commit after the end of the load.
const SETTLE_LIMIT: Duration = Duration::from_secs(120);

pub(super) struct Stage {
    // Fields are dropped in this order: programs before servers, the folder last.
    pub(super) api: ApiServer,
    workers: Vec<Service>,
    pub(super) pool: PgPool,
    pub(super) database_url: String,
    pub(super) nats: NatsServer,
    _postgres: PgServer,
    _folder: TempDir,
}

impl Stage {
    /// Starts everything and waits until it is ready.
    pub(super) async fn start() -> Result<Self> {
        let folder = scratch_dir("soak")?;
        let home = folder.path().join("postgres");
        let postgres = PgServer::start(&home, PgSettings::default()).await?;
        let database_url = postgres.url("postgres");
        tiris_migrations::up(&database_url).await?;
        let nats = NatsServer::start(&folder.path().join("nats"), NatsSettings::default()).await?;
        let pool = PgPoolOptions::new()
            .max_connections(4)
            .connect_lazy(&database_url)?;
        USERS.create(&pool).await?;

        let mut workers = Vec::new();
        for slot in 0..WORKERS {
            let log = folder.path().join(format!("ingest-{slot}.log"));
            let mut worker = Service::launch("tiris-ingest", "run", &database_url, |command| {
                command.env("NATS_URL", nats.url()).log(log)
            })?;
            worker.wait_until_ready().await?;
            workers.push(worker);
        }
        let log = folder.path().join("api.log");
        let mut api = ApiServer::launch(&database_url, folder.path(), |command| {
            command.env("NATS_URL", nats.url()).log(log)
        })?;
        api.wait_until_ready().await?;

        Ok(Self {
            api,
            workers,
            pool,
            database_url,
            nats,
            _postgres: postgres,
            _folder: folder,
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
            let done = booked_events(&self.pool).await?;
            ensure!(done == movements, "{done} of {movements}");
            Ok(())
        })
        .await
    }
}
