//! A database per test: created from a migrated template, dropped with its owner or by the next process.

use super::cluster::url;
use super::folders::{is_alive, short_hash};
use super::roles::{self, OWNER};
use super::shared_server::SharedServer;
use anyhow::{Context, Result};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, PgConnection};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tiris_migrations::roles::rights::Role;
use tokio::sync::OnceCell;

/// Size of the pool of a test.
const POOL_SIZE: u32 = 16;
const PREFIX: &str = "test_";
/// Key of the advisory lock under which the template is created.
const TEMPLATE_LOCK: i64 = 0x7469_7269_735f_7465;
/// Limits how long dropping a database may delay the end of a test.
const DROP_LIMIT: Duration = Duration::from_secs(20);

/// The server of this process, which contains the template.
static SERVER: OnceCell<SharedServer> = OnceCell::const_new();

/// A database for one test, with the newest schema and only the rows of the migrations.
///
/// Dropped with this value; the next test process drops the database of a killed test.
#[derive(Debug)]
pub struct TestDatabase {
    name: String,
    url: String,
    pool: PgPool,
}

impl TestDatabase {
    /// Creates a database by copying the migrated template.
    pub async fn new() -> Result<Self> {
        Self::from_template(&template_name()).await
    }

    /// Creates a database without tables.
    pub async fn empty() -> Result<Self> {
        Self::from_template("template1").await
    }

    async fn from_template(template: &str) -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let server = SERVER.get_or_try_init(prepare_server).await?;
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}{}_{number}", std::process::id());
        let mut admin = connect(server.port).await?;
        let statement = format!("CREATE DATABASE {name} TEMPLATE {template} OWNER {OWNER}");
        run(&mut admin, statement).await?;
        // The rights on a database are not part of its template.
        let statement = format!("REVOKE TEMPORARY ON DATABASE {name} FROM PUBLIC");
        run(&mut admin, statement).await?;
        admin.close().await?;

        let url = url(server.port, &name);
        let pool = PgPoolOptions::new()
            .max_connections(POOL_SIZE)
            .connect_lazy(&url)?;
        Ok(Self { name, url, pool })
    }

    /// Copies the database, as a backup does. Ends all connections to it.
    pub async fn backup(&self) -> Result<Self> {
        self.shut_out(true).await?;
        let copy = Self::from_template(&self.name).await;
        self.shut_out(false).await?;
        copy
    }

    /// Replaces the database with `backup`, under the same address. Ends all connections to it.
    pub async fn restore(&self, backup: Self) -> Result<()> {
        backup.pool.close().await;
        self.shut_out(true).await?;
        let mut admin = administer().await?;
        drop_database(&mut admin, &self.name).await?;
        let statement = format!("ALTER DATABASE {} RENAME TO {}", backup.name, self.name);
        run(&mut admin, statement).await
    }

    /// Ends every connection and refuses new ones, or allows them again.
    async fn shut_out(&self, shut: bool) -> Result<()> {
        let mut admin = administer().await?;
        let statement = format!("ALTER DATABASE {} ALLOW_CONNECTIONS {}", self.name, !shut);
        run(&mut admin, statement).await?;

        if shut {
            // Waits up to ten seconds for each connection to end.
            sqlx::query(
                "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = $1",
            )
            .bind(&self.name)
            .execute(&mut admin)
            .await?;
        }
        Ok(())
    }

    /// Returns the address of the database for a superuser, which needs no password. Programs and pools under test use
    /// [`Self::url_as`] and [`Self::pool_as`].
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns the connections of the test, as a superuser.
    #[must_use]
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Returns the address of the database for a role.
    pub fn url_as(&self, role: Role) -> Result<String> {
        roles::url_as(&self.url, role)
    }

    /// Creates a pool of a role.
    pub fn pool_as(&self, role: Role) -> Result<PgPool> {
        Ok(PgPoolOptions::new()
            .max_connections(POOL_SIZE)
            .connect_lazy(&self.url_as(role)?)?)
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let Some(server) = SERVER.get() else { return };
        let port = server.port;
        let name = std::mem::take(&mut self.name);
        // On its own thread and runtime, because the runtime of the test cannot block here and may be shutting down.
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
            println!("cannot drop the test database: {error:#}");
        }
    }
}

/// Joins the server, drops the databases of dead processes, and creates the template when it is missing.
async fn prepare_server() -> Result<SharedServer> {
    let server = SharedServer::join().await?;
    let mut admin = connect(server.port).await?;
    // The lock ends with the connection.
    sqlx::query("SELECT pg_advisory_lock($1)")
        .bind(TEMPLATE_LOCK)
        .execute(&mut admin)
        .await?;
    roles::prepare(&mut admin).await?;
    let names = database_names(&mut admin).await?;
    drop_orphans(&mut admin, &names).await?;

    if !names.contains(&template_name()) {
        create_template(&mut admin, server.port)
            .await
            .context("cannot create the template of the test databases")?;
    }

    admin.close().await?;
    Ok(server)
}

/// Drops the databases of dead test processes, as the first test database of a process does, too.
pub async fn sweep_databases() -> Result<()> {
    let mut admin = administer().await?;
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

/// Renames the template when it is complete, so that an unfinished one is never used.
async fn create_template(admin: &mut PgConnection, port: u16) -> Result<()> {
    let unfinished = "template_unfinished";
    drop_database(admin, unfinished).await?;
    let statement = format!("CREATE DATABASE {unfinished} OWNER {OWNER}");
    run(admin, statement).await?;
    tiris_migrations::up(&url(port, unfinished)).await?;
    let statement = format!("ALTER DATABASE {unfinished} RENAME TO {}", template_name());
    run(admin, statement).await
}

/// Depends on the migrations, so that a server that outlives a build also serves the next one.
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

/// Connects to the maintenance database of the server of this process.
async fn administer() -> Result<PgConnection> {
    let server = SERVER.get_or_try_init(prepare_server).await?;
    connect(server.port).await
}

/// Connects to the maintenance database.
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
