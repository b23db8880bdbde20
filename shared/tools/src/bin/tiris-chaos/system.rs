//! The system under test: two servers, several ingest workers and an API, all real processes behind proxies, and direct
//! connections for the harness.

pub(crate) mod api;
pub(crate) mod disk;
pub(crate) mod worker;

use anyhow::Result;
use api::Api;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tiris_testing::{
    NatsServer, NatsSettings, PgServer, PgSettings, PgStop, Proxy, binary, scratch_dir,
};
use tiris_tools::run_program;
use tokio::process::Command;
use tokio::sync::Mutex;
use worker::{Held, Worker};

const POOL_SIZE: u32 = 10;
const ACQUIRE_LIMIT: Duration = Duration::from_secs(10);

/// All processes of a run.
#[derive(Debug)]
pub(crate) struct System {
    // Fields are dropped in this order: clients before servers, the folder last.
    pub(crate) api: Mutex<Api>,
    pub(crate) workers: Vec<Arc<Worker>>,
    /// The lock allows to stop the server.
    pub(crate) postgres: Mutex<PgServer>,
    pub(crate) nats: Mutex<NatsServer>,
    /// The proxy of the harness in front of PostgreSQL, which no fault disturbs.
    pub(crate) front: Proxy,
    /// Connects through `front`.
    pub(crate) pool: PgPool,
    pub(crate) database_url: String,
    pub(crate) nats_url: String,
    /// The folder of the PostgreSQL server.
    home: PathBuf,
    folder: TempDir,
}

impl System {
    /// Starts all processes and waits until they are ready. With `data`, PostgreSQL lies in this folder.
    pub(crate) async fn start(workers: usize, data: Option<&Path>) -> Result<Self> {
        let folder = scratch_dir("chaos")?;
        let home = data.map_or_else(|| folder.path().join("postgres"), Path::to_owned);
        // A crash of the server loses nothing without a sync: the kernel keeps what was written.
        let settings = PgSettings {
            durable: false,
            ..PgSettings::default()
        };
        let postgres = PgServer::start(&home, settings).await?;
        let front = Proxy::start(postgres.port()).await?;
        let database_url = database_url(front.port);
        tiris_migrations::up(&database_url).await?;
        let settings = NatsSettings {
            durable: true,
            ..NatsSettings::default()
        };
        let nats = NatsServer::start(&folder.path().join("nats"), settings).await?;

        let mut started = Vec::new();
        for slot in 0..workers {
            let worker = Worker::start(slot, postgres.port(), nats.port(), folder.path()).await?;
            started.push(Arc::new(worker));
        }
        let system = Self {
            api: Mutex::new(Api::start(postgres.port(), folder.path()).await?),
            workers: started,
            pool: PgPoolOptions::new()
                .max_connections(POOL_SIZE)
                .acquire_timeout(ACQUIRE_LIMIT)
                .connect_lazy(&database_url)?,
            database_url,
            nats_url: nats.url(),
            postgres: Mutex::new(postgres),
            nats: Mutex::new(nats),
            front,
            home,
            folder,
        };
        system.wait_until_ready().await?;
        Ok(system)
    }

    /// Returns the folder with the logs of all processes.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) async fn wait_until_ready(&self) -> Result<()> {
        for worker in &self.workers {
            worker.wait_until_ready().await?;
        }
        Ok(())
    }

    /// Holds the worker of `slot` or the next free one.
    pub(crate) fn hold_free_worker(&self, slot: usize) -> Option<Held> {
        let workers = self.workers.iter().cycle().skip(slot);
        workers.take(self.workers.len()).find_map(Worker::try_hold)
    }

    /// Runs a command of `tiris-migrate`.
    pub(crate) async fn migrate(&self, command: &str) -> Result<String> {
        let mut migrate = Command::new(binary("tiris-migrate")?);
        migrate.arg(command).env("DATABASE_URL", &self.database_url);
        run_program(&mut migrate).await
    }

    /// Copies the files of the database.
    pub(crate) async fn copy_database(&self) -> Result<()> {
        self.replace("copy", "data").await
    }

    /// Replaces the database by its copy.
    pub(crate) async fn restore_database(&self) -> Result<()> {
        self.replace("data", "copy").await
    }

    /// Replaces a folder by a copy of another while PostgreSQL is stopped.
    async fn replace(&self, folder: &str, source: &str) -> Result<()> {
        let mut postgres = self.postgres.lock().await;
        postgres.stop(PgStop::Immediate).await?;
        let folder = self.home.join(folder);
        if folder.exists() {
            tokio::fs::remove_dir_all(&folder).await?;
        }

        // `cp -a` preserves owners and permissions.
        let mut copy = Command::new("cp");
        copy.arg("-a").arg(self.home.join(source)).arg(folder);
        run_program(&mut copy).await?;
        postgres.restart().await
    }
}

/// Returns the URL of the database behind a port of this machine.
fn database_url(port: u16) -> String {
    format!("postgres://tiris@127.0.0.1:{port}/postgres")
}
