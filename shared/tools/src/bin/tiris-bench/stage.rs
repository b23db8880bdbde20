//! The servers of a run, and a database and a broker of its own for each measurement.
//!
//! Owns: settings of PostgreSQL, the migrated template. Must not know: what is measured.

use crate::people::People;
use anyhow::{Context, Result, ensure};
use indicatif::ProgressBar;
use sqlx::postgres::{PgPool, PgPoolOptions};
use sqlx::{AssertSqlSafe, Executor};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tempfile::TempDir;
use tiris_testing::{NatsServer, NatsSettings, PgServer, PgSettings, scratch_dir};
use tiris_tools::ApiServer;

/// As a small server of one's own is set up: no checkpoint falls into one measurement and not into the other. The moment
/// of each commit is kept, by which latency is measured.
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

/// Without logs the programs are started without metrics, too.
pub(crate) fn metrics(log: &str) -> &'static str {
    if log == "off" { "off" } else { "on" }
}

/// A PostgreSQL server with a migrated template.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) postgres: PgServer,
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
    /// With settings beside the usual ones.
    pub(crate) async fn start(more: &[&str]) -> Result<Self> {
        let folder = scratch_dir("bench")?;
        let more = SETTINGS.iter().chain(more);
        let settings = PgSettings {
            durable: true,
            more: more.map(|setting| (*setting).to_owned()).collect(),
            ..PgSettings::default()
        };
        let postgres = PgServer::start(&folder.path().join("postgres"), settings).await?;
        let stage = Self {
            postgres,
            folder,
            next: AtomicU32::new(0),
        };
        stage.admin(format!("CREATE DATABASE {TEMPLATE}")).await?;
        tiris_migrations::up(&stage.postgres.url(TEMPLATE))
            .await
            .context("cannot migrate")?;

        Ok(stage)
    }

    fn number(&self) -> u32 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Connections to the database that is always there.
    pub(crate) fn administration(&self) -> PgPool {
        self.connect("postgres")
    }

    async fn admin(&self, statement: String) -> Result<()> {
        let pool = self.administration();
        pool.execute(AssertSqlSafe(statement)).await?;
        pool.close().await;
        Ok(())
    }

    fn connect(&self, name: &str) -> PgPool {
        let url = self.postgres.url(name).parse().unwrap_or_default();
        PgPoolOptions::new()
            .max_connections(POOL_SIZE)
            .acquire_timeout(ACQUIRE_LIMIT)
            .connect_lazy_with(url)
    }

    /// An empty database but for these people.
    pub(crate) async fn database(&self, people: People) -> Result<Database> {
        let name = format!("bench_{}", self.number());
        self.admin(format!("CREATE DATABASE {name} TEMPLATE {TEMPLATE}"))
            .await?;
        let database = Database {
            url: self.postgres.url(&name),
            pool: self.connect(&name),
            name,
        };
        people.create(&database.pool).await?;
        Ok(database)
    }

    /// Takes a database away, so that the disk does not fill.
    pub(crate) async fn drop(&self, database: Database) -> Result<()> {
        database.pool.close().await;
        self.admin(format!("DROP DATABASE {} WITH (FORCE)", database.name))
            .await
    }

    /// Whether the files of TimescaleDB are beside this server.
    pub(crate) async fn could_have_timescale(&self) -> Result<bool> {
        self.asked(
            "postgres",
            "SELECT EXISTS (SELECT FROM pg_available_extensions WHERE name = 'timescaledb')",
        )
        .await
    }

    /// Whether the history tables are hypertables of TimescaleDB in a new database.
    pub(crate) async fn has_hypertables(&self) -> Result<bool> {
        self.asked(
            TEMPLATE,
            "SELECT relkind = 'r' FROM pg_class WHERE oid = 'transactions'::regclass",
        )
        .await
    }

    async fn asked(&self, database: &str, question: &'static str) -> Result<bool> {
        let pool = self.connect(database);
        let answer = sqlx::query_scalar(question).fetch_one(&pool).await?;
        // Who copies the template must be alone in it.
        pool.close().await;
        Ok(answer)
    }

    /// A broker without streams.
    pub(crate) async fn nats(&self) -> Result<NatsServer> {
        let folder = self.folder.path().join(format!("nats-{}", self.number()));
        NatsServer::start(&folder, NatsSettings::default()).await
    }

    /// Starts an API without waiting until it is ready.
    pub(crate) fn launch_api(&self, database_url: &str, log: &str) -> Result<ApiServer> {
        ApiServer::launch(database_url, self.files(), |command| {
            command
                .env("TIRIS_LOG", log)
                .env("TIRIS_METRICS", metrics(log))
                .log(self.log("api"))
        })
    }

    /// Starts an API; ready on return.
    pub(crate) async fn start_api(&self, database: &Database, log: &str) -> Result<ApiServer> {
        let mut api = self.launch_api(&database.url, log)?;
        api.wait_until_ready().await?;
        Ok(api)
    }

    /// Where a process writes its log.
    pub(crate) fn log(&self, name: &str) -> PathBuf {
        self.folder
            .path()
            .join(format!("{name}-{}.log", self.number()))
    }

    /// The log of the server.
    pub(crate) fn postgres_log(&self) -> PathBuf {
        self.folder.path().join("postgres/postgres.log")
    }

    /// A folder everybody may read.
    pub(crate) fn files(&self) -> &Path {
        self.folder.path()
    }
}

impl Database {
    /// Events that are in the books: each is one posting.
    pub(crate) async fn events(&self) -> Result<u64> {
        let sum: i64 =
            sqlx::query_scalar("SELECT coalesce(sum(sequence), 0)::bigint FROM sub_accounts")
                .fetch_one(&self.pool)
                .await?;
        Ok(u64::try_from(sum)?)
    }

    /// That the books hold exactly so many events, none was put aside, and every row fits every other.
    pub(crate) async fn check(&self, events: u64) -> Result<()> {
        self.count(events).await?;
        self.verify().await
    }

    /// That every row of the books fits every other.
    pub(crate) async fn verify(&self) -> Result<()> {
        let report = tiris_migrations::verify(&self.url, &ProgressBar::hidden()).await?;
        ensure!(report.is_clean(), "the books are wrong: {report}");
        Ok(())
    }

    /// That there are so many events, logs, postings, and no letter.
    pub(crate) async fn count(&self, events: u64) -> Result<()> {
        let mut found = vec![self.events().await?];
        for table in ["transactions", "trading_logs", "dead_letters"] {
            let statement = AssertSqlSafe(format!("SELECT count(*) FROM {table}"));
            let count: i64 = sqlx::query_scalar(statement).fetch_one(&self.pool).await?;
            found.push(u64::try_from(count)?);
        }

        ensure!(
            found == [events, events, events, 0],
            "of {events} events the books hold (balances, postings, logs, letters) {found:?}"
        );
        Ok(())
    }

    /// Brings the statistics up to date, as autovacuum does sooner or later.
    pub(crate) async fn settle(&self) -> Result<()> {
        self.pool.execute("VACUUM ANALYZE").await?;
        Ok(())
    }
}
