//! A private PostgreSQL server in a folder: its cluster, settings, start and end.

use super::cluster::{self, REDIRECTING, create_cluster, prepare_dir};
use super::folders::scratch_dir;
use super::port::on_free_port;
use super::process::Process;
use super::roles;
use super::server_user::ServerUser;
use super::timescale;
use super::tools::{PgTools, find_postgres};
use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, PgConnection};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

/// The database of the services.
const DATABASE: &str = "tiris";
/// From start until it accepts connections, including recovery after a crash.
const START_LIMIT: Duration = Duration::from_secs(120);
const STOP_LIMIT: Duration = Duration::from_secs(60);
/// Limit of one attempt to connect.
const CONNECT_LIMIT: Duration = Duration::from_secs(2);

/// Settings of a server.
#[derive(Clone, Debug)]
pub struct PgSettings {
    /// The port; None picks a free one.
    pub port: Option<u16>,
    /// Whether commits are on disk; otherwise a crash of the machine may corrupt the cluster.
    pub durable: bool,
    /// Maximum number of connections.
    pub max_connections: u16,
    /// Whether the jobs of TimescaleDB run, if the server has it.
    pub jobs: bool,
    /// Further settings, as `name=value`.
    pub more: Vec<String>,
}

impl Default for PgSettings {
    fn default() -> Self {
        Self {
            port: None,
            durable: true,
            max_connections: 300,
            jobs: false,
            more: Vec::new(),
        }
    }
}

/// How to stop a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PgStop {
    /// Rolls back open transactions and writes everything to disk.
    Fast,
    /// Writes nothing to disk; the next start recovers.
    Immediate,
}

/// A running or stopped server. Dropping it stops it like [`PgStop::Immediate`]; its folder stays, except for
/// [`PgServer::private`].
#[derive(Debug)]
pub struct PgServer {
    pub(super) process: Option<Process>,
    pub(super) dir: PathBuf,
    pub(super) port: u16,
    pub(super) settings: PgSettings,
    pub(super) tools: PgTools,
    pub(super) user: Option<ServerUser>,
    pub(super) is_detached: bool,
    // The last field, so that it is dropped after the server.
    pub(super) _scratch: Option<TempDir>,
}

impl PgServer {
    /// Starts the server of the cluster in `dir`, which is created when it is missing: UTF-8, UTC, connections from this
    /// machine over TCP only, the roles of the schema, log in `dir/postgres.log`. As root it runs as an unprivileged user, who must be able to
    /// reach `dir`.
    ///
    /// Accepts connections on return.
    pub async fn start(dir: &Path, settings: PgSettings) -> Result<Self> {
        Self::start_as(dir, settings, false).await
    }

    /// Starts a server with an empty cluster for one test, removed on drop.
    pub async fn private() -> Result<Self> {
        let scratch = scratch_dir("postgres")?;
        let settings = PgSettings {
            durable: false,
            ..PgSettings::default()
        };
        let mut server = Self::start(scratch.path(), settings).await?;
        server._scratch = Some(scratch);
        Ok(server)
    }

    /// Like [`Self::start`]; the server runs on when this process dies.
    pub(super) async fn start_detached(dir: &Path, settings: PgSettings) -> Result<Self> {
        Self::start_as(dir, settings, true).await
    }

    async fn start_as(dir: &Path, settings: PgSettings, is_detached: bool) -> Result<Self> {
        let user = ServerUser::for_servers()?;
        prepare_dir(dir, user.as_ref())?;
        let version = fs::read_to_string(dir.join("data/PG_VERSION")).ok();
        let tools = find_postgres(version.and_then(|version| version.trim().parse().ok()))?;
        let dir = dir.canonicalize()?;
        let mut server = Self {
            process: None,
            dir,
            port: 0,
            settings,
            tools,
            user,
            is_detached,
            _scratch: None,
        };
        if !server.data_dir().exists() {
            let tools = server.tools.clone();
            let user = server.user.clone();
            let dir = server.dir.clone();
            let durable = server.settings.durable;
            let create = move || create_cluster(&tools, user.as_ref(), &dir, durable);
            tokio::task::spawn_blocking(create).await??;
        }

        let port = server.settings.port;
        on_free_port(port, async |port| server.launch(port).await).await?;
        server.prepare_roles().await?;
        Ok(server)
    }

    /// Returns the port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the address of one of its databases; `postgres` always exists.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        cluster::url(self.port, database)
    }

    /// Creates the database `tiris` of the owner, who is no superuser, unless it exists, and returns its address.
    pub async fn create_database(&self) -> Result<String> {
        let mut connection = PgConnection::connect(&self.url("postgres")).await?;
        let exists: bool =
            sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)")
                .bind(DATABASE)
                .fetch_one(&mut connection)
                .await?;

        if !exists {
            let statement = format!("CREATE DATABASE {DATABASE} OWNER {}", roles::OWNER);
            connection
                .execute(AssertSqlSafe(statement))
                .await
                .context("cannot create the database")?;
        }
        connection.close().await?;
        Ok(self.url(DATABASE))
    }

    /// Returns the log of the server.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.dir.join("postgres.log")
    }

    /// Returns the main process of the server; None while it is stopped.
    pub fn process(&mut self) -> Option<&mut Process> {
        self.process.as_mut()
    }

    /// Stops the server and waits for its end; the cluster stays.
    pub async fn stop(&mut self, how: PgStop) -> Result<()> {
        let Some(process) = self.process.as_mut() else {
            return Ok(());
        };
        process.signal(match how {
            PgStop::Fast => Signal::SIGINT,
            PgStop::Immediate => Signal::SIGQUIT,
        })?;
        process.wait(STOP_LIMIT).await?;
        self.process = None;
        Ok(())
    }

    /// Kills the main process with SIGKILL, as the kernel does when memory runs out; the other processes then end.
    pub async fn kill(&mut self) -> Result<()> {
        if let Some(mut process) = self.process.take() {
            process.kill().await?;
        }
        Ok(())
    }

    /// Starts the server again on the same port, after [`Self::stop`] or [`Self::kill`].
    pub async fn restart(&mut self) -> Result<()> {
        ensure!(
            self.process.is_none(),
            "PostgreSQL is running: stop it first"
        );
        self.launch(self.port).await
    }

    /// Lets the server run on without this value.
    pub(super) fn detach(mut self) {
        if let Some(process) = self.process.take() {
            process.detach();
        }
    }

    async fn prepare_roles(&self) -> Result<()> {
        let address: PgConnectOptions = self.url("postgres").parse()?;
        let mut connection = address.disable_statement_logging().connect().await?;
        roles::prepare(&mut connection).await?;
        Ok(connection.close().await?)
    }

    fn data_dir(&self) -> PathBuf {
        self.dir.join("data")
    }

    pub(super) async fn launch(&mut self, port: u16) -> Result<()> {
        let mut command = Process::command(self.tools.bin.join("postgres"))
            .log(self.log())
            .signal_on_exit(Signal::SIGINT)
            .show_log(false)
            .arg("-D")
            .arg(self.data_dir())
            .args(self.options(port)?)
            .env("LC_ALL", "C");
        for name in REDIRECTING {
            command = command.env_remove(name);
        }

        if let Some(user) = &self.user {
            user.run(&mut command.command);
        }
        command.command.current_dir(&self.dir);

        if self.is_detached {
            command = command.detached();
        }
        self.port = port;
        let address: PgConnectOptions = self.url("postgres").parse()?;
        let address = address.disable_statement_logging();
        let process = self.process.insert(command.spawn()?);

        process
            .watch("PostgreSQL takes connections", START_LIMIT, async |_| {
                let connection = tokio::time::timeout(CONNECT_LIMIT, address.connect()).await??;
                Ok(connection.close().await?)
            })
            .await
    }

    fn options(&self, port: u16) -> Result<Vec<String>> {
        let mut settings = vec![
            format!("port={port}"),
            format!("max_connections={}", self.settings.max_connections),
            "listen_addresses=127.0.0.1".into(),
            // The path of a socket in a deep folder would be too long.
            "unix_socket_directories=".into(),
            "timezone=UTC".into(),
            "log_timezone=UTC".into(),
            "logging_collector=off".into(),
            // Parameters are secrets, for example the verifier of a login.
            "log_parameter_max_length=0".into(),
            "log_parameter_max_length_on_error=0".into(),
        ];
        if !self.settings.durable {
            settings.extend(["fsync=off", "full_page_writes=off"].map(String::from));
        }

        if timescale::is_used_by(&self.tools)? {
            settings.extend(timescale::settings(self.settings.jobs));
        }
        settings.extend(self.settings.more.iter().cloned());

        Ok(settings
            .into_iter()
            .flat_map(|setting| ["-c".to_owned(), setting])
            .collect())
    }
}

impl Drop for PgServer {
    fn drop(&mut self) {
        // After SIGKILL its backends would run on for a moment in a folder that is being removed.
        if let Some(process) = &mut self.process
            && process.signal(Signal::SIGQUIT).is_ok()
        {
            process.wait_briefly();
        }
    }
}
