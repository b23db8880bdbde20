//! How our own programs are started and ended in the stack.
//!
//! Owns: their arguments and environment. Must not know: the order of starts and ends.

use crate::environment::Environment;
use crate::folder::Folder;
use crate::ports::Ports;
use crate::provider;
use anyhow::Result;
use nix::sys::signal::Signal;
use std::path::Path;
use std::time::Duration;
use tiris_testing::{OpenIdProvider, Process, ProcessCommand, binary};
use tiris_tools::{READY_LIMIT, ready_url, service};

/// Shorter than in production: one worker, whose successor has to wait for it after a crash.
const LEASE_SECONDS: u32 = 2;
/// Longer than the services allow themselves to finish what they are at.
const STOP_LIMIT: Duration = Duration::from_secs(30);
/// Events a second of the demo bot: enough to see money move, slow enough to follow.
const BOT_RATE: &str = "5";

/// What the services are told.
#[derive(Debug)]
pub(crate) struct Services<'a> {
    pub(crate) folder: &'a Folder,
    pub(crate) ports: Ports,
    pub(crate) database_url: String,
    pub(crate) nats_url: String,
    pub(crate) provider: Option<&'a OpenIdProvider>,
}

impl Services<'_> {
    pub(crate) fn api(&self) -> Result<Process> {
        let listen = format!("127.0.0.1:{}", self.ports.api);
        let mut command = self
            .service("tiris-api", "serve", self.ports.api_admin)?
            .env("TIRIS_API_LISTEN", listen)
            .env("TIRIS_JWT_KEY_FILE", self.folder.key_file())
            .env("TIRIS_ENCRYPTION_FILE", self.folder.encryption_file());
        if let Some(provider) = self.provider {
            for (name, value) in provider::of_api(provider, &self.ports) {
                command = command.env(name, value);
            }
        }
        command.spawn()
    }

    pub(crate) fn ingest(&self) -> Result<Process> {
        self.service("tiris-ingest", "run", self.ports.ingest_admin)?
            .spawn()
    }

    fn service(&self, program: &str, command: &str, admin_port: u16) -> Result<ProcessCommand> {
        Ok(service(program, command, &self.database_url, admin_port)?
            .log(self.folder.log(program))
            .signal_on_exit(Signal::SIGTERM)
            .env("NATS_URL", &self.nats_url)
            .env("TIRIS_LEASE_SECONDS", LEASE_SECONDS.to_string()))
    }
}

/// Waits until the service behind this admin port can do its work.
pub(crate) async fn wait_until_ready(service: &mut Process, admin_port: u16) -> Result<()> {
    let url = ready_url(admin_port);
    service.wait_until_healthy(&url, READY_LIMIT).await
}

/// The bot that trades for the demo user.
pub(crate) fn bot(folder: &Folder, environment: &Environment) -> Result<Process> {
    let mut command = quiet("tiris-demo", &folder.log("bot"))?
        .name("the demo bot")
        .args(["--rate", BOT_RATE]);
    for (name, value) in environment.pairs() {
        command = command.env(name, value);
    }
    command.spawn()
}

/// Asks a service or bot to end; kills it when it does not, which is an error.
pub(crate) async fn stop_process(mut process: Process) -> Result<()> {
    if let Err(late) = process.terminate(STOP_LIMIT).await {
        process.kill().await?;
        return Err(late);
    }
    Ok(())
}

/// A program that is ended orderly also when we are killed, and whose log is shown only by us.
pub(crate) fn quiet(program: &str, log: &Path) -> Result<ProcessCommand> {
    let command = Process::command(binary(program)?).log(log);
    Ok(command.signal_on_exit(Signal::SIGTERM).show_log(false))
}
