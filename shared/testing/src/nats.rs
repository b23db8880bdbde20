//! A private NATS server with JetStream in a folder: its configuration, start and end.

use super::folders::scratch_dir;
use super::port::on_free_port;
use super::process::Process;
use super::tools::find_nats_server;
use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

/// From start until JetStream answers, including reading large stores.
const START_LIMIT: Duration = Duration::from_secs(120);
const STOP_LIMIT: Duration = Duration::from_secs(60);
/// Limit of one attempt to connect.
const CONNECT_LIMIT: Duration = Duration::from_secs(2);

/// Settings of a server.
#[derive(Clone, Debug, Default)]
pub struct NatsSettings {
    /// The port; None picks a free one.
    pub port: Option<u16>,
    /// Whether messages are on disk before they are acknowledged; otherwise a kill may lose the latest ones.
    pub durable: bool,
    /// Further lines of the configuration file.
    pub more: String,
}

/// A running or stopped server. Dropping it kills it; its folder stays, except for [`NatsServer::private`].
#[derive(Debug)]
pub struct NatsServer {
    process: Option<Process>,
    program: PathBuf,
    dir: PathBuf,
    port: u16,
    settings: NatsSettings,
    // The last field, so that it is dropped after the server.
    _scratch: Option<TempDir>,
}

impl NatsServer {
    /// Starts a server on 127.0.0.1, with its streams in `dir/jetstream` and its log in `dir/nats.log`. JetStream answers
    /// on return.
    pub async fn start(dir: &Path, settings: NatsSettings) -> Result<Self> {
        fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
        let program = find_nats_server()?;
        let dir = dir.canonicalize()?;
        let mut server = Self {
            process: None,
            program,
            dir,
            port: 0,
            settings,
            _scratch: None,
        };
        let port = server.settings.port;
        on_free_port(port, async |port| server.launch(port).await).await?;

        Ok(server)
    }

    /// Starts a durable server for one test, removed on drop.
    pub async fn private() -> Result<Self> {
        Self::private_with(NatsSettings {
            durable: true,
            ..NatsSettings::default()
        })
        .await
    }

    /// Like [`Self::private`], with settings.
    pub async fn private_with(settings: NatsSettings) -> Result<Self> {
        let scratch = scratch_dir("nats")?;
        let mut server = Self::start(scratch.path(), settings).await?;
        server._scratch = Some(scratch);
        Ok(server)
    }

    /// Returns the address of the server.
    #[must_use]
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Returns the folder of its streams, which may be copied or replaced only while the server is stopped.
    #[must_use]
    pub fn store(&self) -> PathBuf {
        self.dir.join("jetstream")
    }

    /// Returns the port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the process of the server; None while it is stopped.
    pub fn process(&mut self) -> Option<&mut Process> {
        self.process.as_mut()
    }

    /// Kills the server with SIGKILL; its streams stay.
    pub async fn kill(&mut self) -> Result<()> {
        if let Some(mut process) = self.process.take() {
            process.kill().await?;
        }
        Ok(())
    }

    /// Stops the server and waits for its end.
    pub async fn stop(&mut self) -> Result<()> {
        if let Some(mut process) = self.process.take() {
            process.terminate(STOP_LIMIT).await?;
        }
        Ok(())
    }

    /// Starts the server again on the same port and streams, after [`Self::stop`] or [`Self::kill`].
    pub async fn restart(&mut self) -> Result<()> {
        ensure!(
            self.process.is_none(),
            "the NATS server is running: stop it first"
        );
        self.launch(self.port).await
    }

    async fn launch(&mut self, port: u16) -> Result<()> {
        self.port = port;
        let config = self.dir.join("nats.conf");
        fs::write(&config, self.config())
            .with_context(|| format!("cannot write {}", config.display()))?;
        let command = Process::command(&self.program)
            .arg("--config")
            .arg(&config)
            .log(self.dir.join("nats.log"))
            .signal_on_exit(if self.settings.durable {
                Signal::SIGTERM
            } else {
                Signal::SIGKILL
            })
            .show_log(false);
        let process = self.process.insert(command.spawn()?);
        let url = format!("nats://127.0.0.1:{port}");

        process
            .watch("JetStream answers", START_LIMIT, async |_| {
                let options = async_nats::ConnectOptions::new().connection_timeout(CONNECT_LIMIT);
                let client = options.connect(&url).await?;
                async_nats::jetstream::new(client).query_account().await?;
                Ok(())
            })
            .await
    }

    fn config(&self) -> String {
        let sync = if self.settings.durable {
            "always"
        } else {
            "2m"
        };
        format!(
            "host: \"127.0.0.1\"\nport: {}\njetstream {{\n  store_dir: {:?}\n  sync_interval: {sync}\n}}\n{}\n",
            self.port,
            self.dir.join("jetstream"),
            self.settings.more
        )
    }
}
