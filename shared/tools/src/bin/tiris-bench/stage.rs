//! The PostgreSQL server of a run, and databases, brokers and APIs for each measurement.

use anyhow::Result;
use sqlx::postgres::{PgPool, PgPoolOptions};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tempfile::TempDir;
use tiris_testing::{NatsServer, NatsSettings, PgServer, PgSettings, ProcessCommand, scratch_dir};
use tiris_tools::{ApiServer, Population, broker_accounts, check_books, verify_books};

/// As on a small dedicated server: no checkpoint falls into one measurement and not into the other. Latency is measured
/// by the timestamps of commits.
const SETTINGS: [&str; 5] = [
    "shared_buffers=1GB",
    "max_wal_size=8GB",
    "checkpoint_timeout=30min",
    "track_commit_timestamp=on",
    "max_locks_per_transaction=256",
];
const TEMPLATE: &str = "bench_template";
const POOL_SIZE: u32 = 4;
const ACQUIRE_LIMIT: Duration = Duration::from_secs(30);

/// A PostgreSQL server with a migrated template.
#[derive(Debug)]
pub(crate) struct Stage {
    /// Connections to the database `postgres`.
    pub(crate) admin: PgPool,
    /// Whether the history tables of a new database are hypertables of TimescaleDB.
    pub(crate) has_hypertables: bool,
    postgres: PgServer,
    /// A folder that every user may read.
    pub(crate) folder: TempDir,
    next: AtomicU32,
}

/// A migrated database.
#[derive(Debug)]
pub(crate) struct Database {
    name: String,
    pub(crate) url: String,
    pub(crate) pool: PgPool,
}

impl Stage {
    /// Starts a server with `more` settings.
    pub(crate) async fn start(more: &[&str]) -> Result<Self> {
        let folder = scratch_dir("bench")?;
        let more = SETTINGS.iter().chain(more);
        let settings = PgSettings {
            durable: true,
            more: more.map(|setting| (*setting).to_owned()).collect(),
            ..PgSettings::default()
        };
        let postgres = PgServer::start(&folder.path().join("postgres"), settings).await?;

        let admin = pool(&postgres.url("postgres"))?;
        create_database(&admin, TEMPLATE, "template1").await?;
        let template = postgres.url(TEMPLATE);
        tiris_migrations::up(&template).await?;

        Ok(Self {
            has_hypertables: has_hypertables(&template).await?,
            admin,
            postgres,
            folder,
            next: AtomicU32::new(0),
        })
    }

    fn number(&self) -> u32 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Creates a database with these users.
    pub(crate) async fn database(&self, population: Population) -> Result<Database> {
        let database = self.empty_database().await?;
        population.create(&database.pool).await?;
        Ok(database)
    }

    /// Creates a migrated database without users.
    pub(crate) async fn empty_database(&self) -> Result<Database> {
        let name = format!("bench_{}", self.number());
        create_database(&self.admin, &name, TEMPLATE).await?;

        let url = self.postgres.url(&name);
        Ok(Database {
            pool: pool(&url)?,
            name,
            url,
        })
    }

    pub(crate) async fn drop(&self, database: Database) -> Result<()> {
        database.pool.close().await;
        let statement = format!("DROP DATABASE {} WITH (FORCE)", database.name);
        self.admin.execute(AssertSqlSafe(statement)).await?;
        Ok(())
    }

    /// Starts a broker without streams.
    pub(crate) async fn nats(&self) -> Result<NatsServer> {
        let folder = self.folder.path().join(format!("nats-{}", self.number()));
        let settings = NatsSettings {
            more: broker_accounts(),
            ..NatsSettings::default()
        };
        NatsServer::start(&folder, settings).await
    }

    /// Sets the log levels of a service and its log file. With logs off, metrics are off, too.
    pub(crate) fn logging(&self, command: ProcessCommand, log: &str, name: &str) -> ProcessCommand {
        let metrics = if log == "off" { "off" } else { "on" };
        let file = format!("{name}-{}.log", self.number());
        command
            .env("TIRIS_LOG", log)
            .env("TIRIS_METRICS", metrics)
            .log(self.folder.path().join(file))
    }

    /// Starts an API without waiting until it is ready.
    pub(crate) fn launch_api(&self, database_url: &str, log: &str) -> Result<ApiServer> {
        ApiServer::launch(database_url, self.folder.path(), |command| {
            self.logging(command, log, "api")
        })
    }

    /// Starts an API and waits until it is ready.
    pub(crate) async fn start_api(&self, database_url: &str, log: &str) -> Result<ApiServer> {
        let mut api = self.launch_api(database_url, log)?;
        api.wait_until_ready().await?;
        Ok(api)
    }
}

fn pool(url: &str) -> Result<PgPool> {
    Ok(PgPoolOptions::new()
        .max_connections(POOL_SIZE)
        .acquire_timeout(ACQUIRE_LIMIT)
        .connect_lazy(url)?)
}

async fn create_database(admin: &PgPool, name: &str, template: &str) -> Result<()> {
    let statement = format!("CREATE DATABASE {name} TEMPLATE {template} OWNER tiris_owner");
    admin.execute(AssertSqlSafe(statement)).await?;
    Ok(())
}

async fn has_hypertables(url: &str) -> Result<bool> {
    let mut connection = PgConnection::connect(url).await?;
    let found = sqlx::query_scalar(
        "SELECT relkind = 'r' FROM pg_class WHERE oid = 'transactions'::regclass",
    )
    .fetch_one(&mut connection)
    .await?;
    // A template can be copied only while no session is connected to it.
    connection.close().await?;
    Ok(found)
}

impl Database {
    /// Checks that the books hold exactly `events` events, without dead letters, and that all rows agree.
    pub(crate) async fn check(&self, events: u64) -> Result<()> {
        check_books(&self.pool, events).await?;
        verify_books(&self.url).await
    }

    /// Vacuums and updates the statistics, as autovacuum does eventually.
    pub(crate) async fn vacuum(&self) -> Result<()> {
        self.pool.execute("VACUUM ANALYZE").await?;
        Ok(())
    }
}
