//! A private NATS server with JetStream in a folder.
//!
//! Owns: its configuration, its start and its ends. Must not know: streams.

use super::place::scratch_dir;
use super::port::on_free_port;
use super::process::Process;
use super::tools::find_nats_server;
use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

/// From start to an answering JetStream, reading large stores included.
const START_LIMIT: Duration = Duration::from_secs(120);
const STOP_LIMIT: Duration = Duration::from_secs(60);
/// One attempt to connect while it starts.
const CONNECT_LIMIT: Duration = Duration::from_secs(2);

/// What a caller may choose.
#[derive(Clone, Debug, Default)]
pub struct NatsSettings {
    /// The port; a free one when `None`.
    pub port: Option<u16>,
    /// Whether an acknowledged message is on disk. Without it a kill may lose the last moments.
    pub durable: bool,
    /// Further lines of its configuration file.
    pub more: String,
}

/// A running (or stopped) server. Dropping it kills it; its folder stays, but for [`NatsServer::private`].
#[derive(Debug)]
pub struct NatsServer {
    process: Option<Process>,
    program: PathBuf,
    dir: PathBuf,
    port: u16,
    settings: NatsSettings,
    // Last, so that it goes after the server.
    _scratch: Option<TempDir>,
}

impl NatsServer {
    /// Starts a server that keeps its streams in `dir/jetstream` and its log in `dir/nats.log`, on 127.0.0.1 only,
    /// without monitoring. JetStream answers on return.
    pub async fn start(dir: &Path, settings: NatsSettings) -> Result<Self> {
        fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
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

    /// A server of its own for one test, which keeps what it acknowledged also when killed; removed on drop.
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

    /// Its address.
    #[must_use]
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Where it keeps its streams; to be copied or replaced only while it is stopped.
    #[must_use]
    pub fn store(&self) -> PathBuf {
        self.dir.join("jetstream")
    }

    /// Its port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its process; `None` while stopped.
    pub fn process(&mut self) -> Option<&mut Process> {
        self.process.as_mut()
    }

    /// SIGKILL. The streams stay and can be started again.
    pub async fn kill(&mut self) -> Result<()> {
        if let Some(mut process) = self.process.take() {
            process.kill().await?;
        }
        Ok(())
    }

    /// Ends it orderly and waits for the end.
    pub async fn stop(&mut self) -> Result<()> {
        if let Some(mut process) = self.process.take() {
            process.terminate(STOP_LIMIT).await?;
        }
        Ok(())
    }

    /// Starts it again on the same port with the same streams, after [`Self::stop`] or [`Self::kill`].
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
            .signal_at_our_death(if self.settings.durable {
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
