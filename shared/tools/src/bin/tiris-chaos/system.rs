//! The system under test: two servers, several ingest workers and an API, all real processes.
//!
//! Owns: their start, and the harness's own way around the proxies. Must not know: the load, or what is done to them.

pub(crate) mod api;
pub(crate) mod disk;
pub(crate) mod proxy;
pub(crate) mod settings;
pub(crate) mod worker;

use anyhow::{Context, Result, ensure};
use api::Api;
use settings::database_url;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;
use tiris_testing::{NatsServer, NatsSettings, PgServer, PgSettings, PgStop, scratch_dir};
use tokio::sync::Mutex;
use worker::{Worker, Workplace};

const POOL_SIZE: u32 = 10;
const ACQUIRE_LIMIT: Duration = Duration::from_secs(10);

/// Everything that runs.
#[derive(Debug)]
pub(crate) struct System {
    // Fields are dropped in this order: clients before servers, the folder last.
    pub(crate) api: Mutex<Api>,
    pub(crate) workers: Vec<Worker>,
    /// Whoever holds it may stop the server.
    pub(crate) postgres: Mutex<PgServer>,
    pub(crate) nats: Mutex<NatsServer>,
    /// Straight to the database.
    pub(crate) pool: PgPool,
    pub(crate) database_url: String,
    pub(crate) nats_url: String,
    /// The folder of the database server.
    home: PathBuf,
    folder: TempDir,
}

impl System {
    /// Starts all; ready on return. With `data` the cluster is made there instead of in the system's own folder.
    pub(crate) async fn start(workers: usize, data: Option<&Path>) -> Result<Self> {
        let folder = scratch_dir("chaos")?;
        let logs = folder.path().to_owned();
        let home = data.map_or_else(|| logs.join("postgres"), Path::to_owned);
        // A crash of the server needs no disk: the kernel keeps what was written.
        let settings = PgSettings {
            durable: false,
            ..PgSettings::default()
        };
        let postgres = PgServer::start(&home, settings).await?;
        let database_url = database_url(postgres.port());
        tiris_migrations::up(&database_url)
            .await
            .context("cannot migrate")?;
        let nats = NatsSettings {
            durable: true,
            ..NatsSettings::default()
        };
        let nats = NatsServer::start(&logs.join("nats"), nats).await?;

        let mut started = Vec::new();
        for slot in 0..workers {
            let place = Workplace {
                slot,
                postgres: postgres.port(),
                nats: nats.port(),
                logs: logs.clone(),
            };
            started.push(Worker::start(place).await?);
        }
        let system = Self {
            api: Mutex::new(Api::start(postgres.port(), &logs).await?),
            workers: started,
            pool: PgPoolOptions::new()
                .max_connections(POOL_SIZE)
                .acquire_timeout(ACQUIRE_LIMIT)
                .connect_lazy(&database_url)?,
            database_url,
            nats_url: nats.url(),
            postgres: Mutex::new(postgres),
            nats: Mutex::new(nats),
            home,
            folder,
        };
        system.wait_until_ready().await?;
        Ok(system)
    }

    /// The folder with the logs of all processes.
    pub(crate) fn folder(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    /// Waits until every worker runs and is ready.
    pub(crate) async fn wait_until_ready(&self) -> Result<()> {
        for worker in &self.workers {
            worker.wait_until_ready().await?;
        }
        Ok(())
    }

    /// Keeps a copy of the database as it is on disk at this moment.
    pub(crate) async fn copy_database(&self) -> Result<()> {
        self.swap("data", "copy").await
    }

    /// Puts the copy in the place of the database.
    pub(crate) async fn restore_database(&self) -> Result<()> {
        self.swap("copy", "data").await
    }

    async fn swap(&self, from: &str, to: &str) -> Result<()> {
        let mut postgres = self.postgres.lock().await;
        postgres.stop(PgStop::Immediate).await?;
        let from = self.home.join(from);
        let to = self.home.join(to);

        if to.exists() {
            tokio::fs::remove_dir_all(&to).await?;
        }
        // With owners and rights, which a copy made here would not keep.
        let status = tokio::process::Command::new("cp")
            .arg("-a")
            .args([&from, &to])
            .status()
            .await?;
        ensure!(status.success(), "cannot copy {}: {status}", from.display());

        postgres.restart().await
    }
}
