//! A database per test.
//!
//! Owns: making it from a migrated template, dropping it, sweeping those of dead processes. Must not know: tables.

use super::cluster::url;
use super::place::{is_alive, short_hash};
use super::shared_server::SharedServer;
use anyhow::{Context, Result};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, PgConnection};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::sync::OnceCell;

/// Connections of the pool a test gets.
const POOL_SIZE: u32 = 16;
const PREFIX: &str = "test_";
/// Key of the advisory lock under which one process makes the template.
const TEMPLATE_LOCK: i64 = 0x7469_7269_735f_7465;
/// Dropping a database must not hang the end of a test.
const DROP_LIMIT: Duration = Duration::from_secs(20);

/// The server this process uses, with the template made in it.
static SERVER: OnceCell<SharedServer> = OnceCell::const_new();

/// A database of its own for one test, with the newest schema and no rows but those of the migrations.
///
/// Dropped with this value; of a test that was killed, by the next test process.
#[derive(Debug)]
pub struct TestDatabase {
    name: String,
    url: String,
    pool: PgPool,
}

impl TestDatabase {
    /// Makes one, by copying a template that was migrated once.
    pub async fn new() -> Result<Self> {
        Self::from_template(&template_name()).await
    }

    /// Makes one without any table.
    pub async fn empty() -> Result<Self> {
        Self::from_template("template1").await
    }

    async fn from_template(template: &str) -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let server = SERVER.get_or_try_init(prepare_server).await?;
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}{}_{number}", std::process::id());
        let mut admin = connect(server.port).await?;
        let statement = format!("CREATE DATABASE {name} TEMPLATE {template}");
        run(&mut admin, statement).await?;
        admin.close().await?;

        let url = url(server.port, &name);
        let pool = PgPoolOptions::new()
            .max_connections(POOL_SIZE)
            .connect_lazy(&url)?;
        Ok(Self { name, url, pool })
    }

    /// A copy of it as it is now, as a backup makes one. Whoever is connected loses the connection.
    pub async fn backup(&self) -> Result<Self> {
        self.shut_out(true).await?;
        let copy = Self::from_template(&self.name).await;
        self.shut_out(false).await?;
        copy
    }

    /// Puts `backup` in its place, under its address. Whoever is connected loses the connection.
    pub async fn restore(&self, backup: Self) -> Result<()> {
        backup.pool.close().await;
        self.shut_out(true).await?;
        let server = SERVER.get_or_try_init(prepare_server).await?;
        let mut admin = connect(server.port).await?;
        drop_database(&mut admin, &self.name).await?;
        let statement = format!("ALTER DATABASE {} RENAME TO {}", backup.name, self.name);
        run(&mut admin, statement).await
    }

    /// Ends every connection to it and lets none in, until told otherwise.
    async fn shut_out(&self, shut: bool) -> Result<()> {
        let server = SERVER.get_or_try_init(prepare_server).await?;
        let mut admin = connect(server.port).await?;
        let statement = format!("ALTER DATABASE {} ALLOW_CONNECTIONS {}", self.name, !shut);
        run(&mut admin, statement).await?;

        if shut {
            // Waits until each is gone.
            sqlx::query(
                "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = $1",
            )
            .bind(&self.name)
            .execute(&mut admin)
            .await?;
        }
        Ok(())
    }

    /// Its address; it needs no password.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Connections to it, for the test's own looks.
    #[must_use]
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let Some(server) = SERVER.get() else { return };
        let port = server.port;
        let name = std::mem::take(&mut self.name);
        // A thread with a runtime of its own: the test's runtime cannot wait here, and may be going down.
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(async {
                let drop = async { drop_database(&mut connect(port).await?, &name).await };
                tokio::time::timeout(DROP_LIMIT, drop).await?
            })
        });

        if let Ok(Err(error)) = dropped.join() {
            println!("a test database was left behind: {error:#}");
        }
    }
}

/// Joins the server, clears away what dead processes left, and sees to the template.
async fn prepare_server() -> Result<SharedServer> {
    let server = SharedServer::join().await?;
    let mut admin = connect(server.port).await?;
    // The lock ends with the connection.
    sqlx::query("SELECT pg_advisory_lock($1)")
        .bind(TEMPLATE_LOCK)
        .execute(&mut admin)
        .await?;
    let names = database_names(&mut admin).await?;
    drop_orphans(&mut admin, &names).await?;

    if !names.contains(&template_name()) {
        make_template(&mut admin, server.port)
            .await
            .context("cannot make the template of the test databases")?;
    }

    admin.close().await?;
    Ok(server)
}

/// Drops the databases of dead test processes, as the first use in every process does by itself.
pub async fn sweep_databases() -> Result<()> {
    let server = SERVER.get_or_try_init(prepare_server).await?;
    let mut admin = connect(server.port).await?;
    let names = database_names(&mut admin).await?;
    drop_orphans(&mut admin, &names).await
}

async fn database_names(admin: &mut PgConnection) -> Result<Vec<String>> {
    Ok(sqlx::query_scalar("SELECT datname FROM pg_database")
        .fetch_all(admin)
        .await?)
}

async fn drop_orphans(admin: &mut PgConnection, names: &[String]) -> Result<()> {
    for name in names.iter().filter(|name| owner_is_dead(name)) {
        drop_database(admin, name).await?;
    }
    Ok(())
}

/// The template gets its name when it is complete: a half-made one is made anew.
async fn make_template(admin: &mut PgConnection, port: u16) -> Result<()> {
    let unfinished = "template_unfinished";
    drop_database(admin, unfinished).await?;
    run(admin, format!("CREATE DATABASE {unfinished}")).await?;
    tiris_migrations::up(&url(port, unfinished)).await?;
    let statement = format!("ALTER DATABASE {unfinished} RENAME TO {}", template_name());
    run(admin, statement).await
}

/// Changes with the migrations, so that a server that outlives a build serves the next one too.
fn template_name() -> String {
    format!("template_{}", short_hash(&tiris_migrations::fingerprint()))
}

fn owner_is_dead(database: &str) -> bool {
    let owner = database
        .strip_prefix(PREFIX)
        .and_then(|rest| rest.split('_').next()?.parse().ok());
    owner.is_some_and(|pid| !is_alive(pid))
}

async fn drop_database(admin: &mut PgConnection, name: &str) -> Result<()> {
    let statement = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
    run(admin, statement).await
}

/// Connects to the database that is always there.
async fn connect(port: u16) -> Result<PgConnection> {
    let options: PgConnectOptions = url(port, "postgres").parse()?;
    options
        .disable_statement_logging()
        .connect()
        .await
        .context("cannot connect to the test server")
}

async fn run(connection: &mut PgConnection, statement: String) -> Result<()> {
    connection
        .execute(AssertSqlSafe(statement))
        .await
        .map(drop)
        .map_err(Into::into)
}
