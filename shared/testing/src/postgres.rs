//! A private PostgreSQL server in a folder.
//!
//! Owns: making its cluster, its settings, its start and its ends. Must not know: what is stored in it.

use super::account::Account;
use super::cluster::{self, MISLEADING, make_cluster, prepare_dir};
use super::place::scratch_dir;
use super::port::on_free_port;
use super::process::Process;
use super::timescale;
use super::tools::{PgTools, find_postgres};
use anyhow::{Result, ensure};
use nix::sys::signal::Signal;
use sqlx::{ConnectOptions, Connection, postgres::PgConnectOptions};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

/// From start to taking connections, recovery after a crash included.
const START_LIMIT: Duration = Duration::from_secs(120);
const STOP_LIMIT: Duration = Duration::from_secs(60);
/// One attempt to connect while it starts.
const CONNECT_LIMIT: Duration = Duration::from_secs(2);

/// What a caller may choose.
#[derive(Clone, Debug)]
pub struct PgSettings {
    /// The port; a free one when `None`.
    pub port: Option<u16>,
    /// Whether committed means on disk. Without it a crash of the machine (not of the server) may ruin the cluster.
    pub durable: bool,
    /// How many connections it takes at once.
    pub max_connections: u16,
    /// Whether the jobs of TimescaleDB run, where the server has it.
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

/// How to end a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PgStop {
    /// Rolls open transactions back, writes everything out.
    Fast,
    /// Writes nothing out; the next start recovers.
    Immediate,
}

/// A running (or stopped) server. Dropping it ends it like [`PgStop::Immediate`]; its folder stays, but for
/// [`PgServer::private`].
#[derive(Debug)]
pub struct PgServer {
    process: Option<Process>,
    dir: PathBuf,
    port: u16,
    settings: PgSettings,
    tools: PgTools,
    account: Option<Account>,
    outlives_us: bool,
    // Last, so that it goes after the server.
    _scratch: Option<TempDir>,
}

impl PgServer {
    /// Starts the server whose cluster lies in `dir`, making it when there is none: UTF-8, UTC, no connections but
    /// from this machine over TCP, log in `dir/postgres.log`. As root it runs as an unprivileged user, who must be
    /// able to reach `dir`.
    ///
    /// Ready for connections on return.
    pub async fn start(dir: &Path, settings: PgSettings) -> Result<Self> {
        Self::start_as(dir, settings, false).await
    }

    /// A server of its own for one test, with an empty cluster, removed on drop.
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

    /// Like [`Self::start`]; it lives on when we die.
    pub(super) async fn start_detached(dir: &Path, settings: PgSettings) -> Result<Self> {
        Self::start_as(dir, settings, true).await
    }

    async fn start_as(dir: &Path, settings: PgSettings, outlives_us: bool) -> Result<Self> {
        let account = Account::for_servers()?;
        prepare_dir(dir, account.as_ref())?;
        let made_by = fs::read_to_string(dir.join("data/PG_VERSION")).ok();
        let tools = find_postgres(made_by.and_then(|version| version.trim().parse().ok()))?;
        let dir = dir.canonicalize()?;
        let mut server = Self {
            process: None,
            dir,
            port: 0,
            settings,
            tools,
            account,
            outlives_us,
            _scratch: None,
        };
        if !server.data_dir().exists() {
            let tools = server.tools.clone();
            let account = server.account.clone();
            let dir = server.dir.clone();
            let durable = server.settings.durable;
            let make = move || make_cluster(&tools, account.as_ref(), &dir, durable);
            tokio::task::spawn_blocking(make).await??;
        }

        let port = server.settings.port;
        on_free_port(port, async |port| server.launch(port).await).await?;
        Ok(server)
    }

    /// Its port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The address of one of its databases; `postgres` is always there.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        cluster::url(self.port, database)
    }

    /// The server's main process; `None` while stopped.
    pub fn process(&mut self) -> Option<&mut Process> {
        self.process.as_mut()
    }

    /// Ends it and waits for the end. The cluster stays and can be started again.
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

    /// Kills its main process (SIGKILL), as the kernel does when memory runs out; the others notice and end.
    pub async fn kill(&mut self) -> Result<()> {
        if let Some(mut process) = self.process.take() {
            process.kill().await?;
        }
        Ok(())
    }

    /// Starts it again on the same port, after [`Self::stop`] or [`Self::kill`].
    pub async fn restart(&mut self) -> Result<()> {
        ensure!(
            self.process.is_none(),
            "PostgreSQL is running: stop it first"
        );
        self.launch(self.port).await
    }

    /// Lets go of the server: it lives on by itself.
    pub(super) fn detach(mut self) {
        if let Some(process) = self.process.take() {
            process.detach();
        }
    }

    fn data_dir(&self) -> PathBuf {
        self.dir.join("data")
    }

    async fn launch(&mut self, port: u16) -> Result<()> {
        let mut command = Process::command(self.tools.bin.join("postgres"))
            .log(self.dir.join("postgres.log"))
            .signal_at_our_death(Signal::SIGINT)
            .show_log(false)
            .arg("-D")
            .arg(self.data_dir())
            .args(self.options(port)?)
            .env("LC_ALL", "C");
        for name in MISLEADING {
            command = command.env_remove(name);
        }

        if let Some(account) = &self.account {
            account.run(&mut command.command);
        }
        command.command.current_dir(&self.dir);

        if self.outlives_us {
            command = command.outlive_us();
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
            // A socket in a deep folder would break the limit of its path's length.
            "unix_socket_directories=".into(),
            "timezone=UTC".into(),
            "log_timezone=UTC".into(),
            "logging_collector=off".into(),
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
        // SIGKILL would leave its backends a moment longer, in a folder that is being removed.
        if let Some(process) = &mut self.process
            && process.signal(Signal::SIGQUIT).is_ok()
        {
            process.wait_briefly();
        }
    }
}
