//! The system under test: two servers, several ingest workers and an API, all real processes behind proxies, and direct
//! connections for the harness.

pub(crate) mod api;
pub(crate) mod disk;
pub(crate) mod worker;

use crate::run::Options;
use anyhow::Result;
use api::Api;
use sqlx::postgres::PgPoolOptions;
use sqlx::{Connection, PgConnection, PgPool};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tiris_testing::{
    NatsServer, NatsSettings, PgServer, PgSettings, PgStop, Proxy, scratch_dir, url_as_owner,
};
use tiris_tools::{Build, Release, bot_url, broker_accounts, run_program};
use tokio::process::Command;
use tokio::sync::Mutex;
use worker::{Held, Place, Worker};

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
    /// For clients of the account that owns the streams.
    pub(crate) nats_url: String,
    /// For bots.
    pub(crate) bot_url: String,
    /// The build of all processes.
    pub(crate) build: Build,
    /// The folder of the PostgreSQL server.
    home: PathBuf,
    folder: TempDir,
}

impl System {
    /// Starts all processes and waits until they are ready.
    pub(crate) async fn start(setup: Setup<'_>) -> Result<Self> {
        let folder = scratch_dir("chaos")?;
        let home = setup
            .data
            .map_or_else(|| folder.path().join("postgres"), Path::to_owned);
        // A crash of the server loses nothing without a sync: the kernel keeps what was written.
        let settings = PgSettings {
            durable: false,
            ..PgSettings::default()
        };
        let postgres = PgServer::start(&home, settings).await?;
        postgres.create_database().await?;
        let front = Proxy::start(postgres.port()).await?;
        let database_url = database_url(front.port);
        let build = migrated(setup.earlier, &database_url).await?;
        let settings = NatsSettings {
            durable: true,
            more: broker_accounts(),
            ..NatsSettings::default()
        };
        let nats = NatsServer::start(&folder.path().join("nats"), settings).await?;

        let mut started = Vec::new();
        for slot in 0..setup.workers {
            let place = Place {
                build: &build,
                postgres: postgres.port(),
                nats: nats.port(),
                logs: folder.path(),
            };
            started.push(Arc::new(Worker::start(slot, place).await?));
        }
        let api = Api::start(build.clone(), postgres.port(), folder.path()).await?;
        let system = Self {
            api: Mutex::new(api),
            workers: started,
            pool: PgPoolOptions::new()
                .max_connections(POOL_SIZE)
                .acquire_timeout(ACQUIRE_LIMIT)
                .connect_lazy(&database_url)?,
            database_url,
            nats_url: nats.url(),
            bot_url: bot_url(nats.port()),
            build,
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

    /// Runs `tiris-migrate verify` of the build of all processes.
    pub(crate) async fn verify(&self) -> Result<String> {
        migrate(&self.build, &self.database_url, &["verify"]).await
    }

    /// Runs a command of `tiris-migrate` of this build.
    pub(crate) async fn migrate(&self, arguments: &[&str]) -> Result<String> {
        migrate(&Build::This, &self.database_url, arguments).await
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

/// What a system consists of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup<'a> {
    /// The number of workers.
    pub(crate) workers: usize,
    /// The folder of PostgreSQL, if it is not to be in that of the system.
    pub(crate) data: Option<&'a Path>,
    /// The release whose programs run, if it is not this build.
    pub(crate) earlier: Option<&'a Release>,
}

impl Setup<'_> {
    /// Returns the usual system.
    pub(crate) const fn new(options: &Options) -> Self {
        Self {
            workers: options.workers,
            data: None,
            earlier: None,
        }
    }
}

/// Applies the migrations of a build and returns it.
async fn migrated(earlier: Option<&Release>, database_url: &str) -> Result<Build> {
    let Some(release) = earlier else {
        migrate(&Build::This, database_url, &["up"]).await?;
        return Ok(Build::This);
    };
    migrate(&Build::Earlier(release.clone()), database_url, &["up"]).await?;

    let mut connection = PgConnection::connect(database_url).await?;
    let has_roles: bool =
        sqlx::query_scalar("SELECT has_table_privilege('tiris_api', 'seaql_migrations', 'SELECT')")
            .fetch_one(&mut connection)
            .await?;
    Ok(Build::Earlier(release.clone().with_roles(has_roles)))
}

/// Runs `tiris-migrate` of a build as the owner of the database.
async fn migrate(build: &Build, database_url: &str, arguments: &[&str]) -> Result<String> {
    let mut migrate = Command::new(build.program("tiris-migrate")?);
    migrate
        .args(arguments)
        .env("DATABASE_URL", url_as_owner(database_url)?);
    run_program(&mut migrate).await
}

/// Returns the URL of the database behind a port of this machine.
pub(crate) fn database_url(port: u16) -> String {
    format!("postgres://tiris@127.0.0.1:{port}/tiris")
}
