//! The programs of a build as processes with the settings of a development run.

use crate::build::Build;
use anyhow::{Context, Result, ensure};
use std::process::Stdio;
use std::time::{Duration, Instant};
use tiris_testing::{Process, ProcessCommand, Role, free_port};

/// The longest time from the start of a service until it is ready, with everything it needs running.
pub const READY_LIMIT: Duration = Duration::from_secs(60);
/// The longest time from SIGTERM to the end of a service.
const STOP_LIMIT: Duration = Duration::from_secs(20);

/// Describes `program command` of this build, such as `tiris-ingest run`, with the role of the program in the database. Its
/// log is not printed when it is dropped.
///
/// # Errors
/// When the program is missing.
pub fn service(
    program: &str,
    command: &str,
    database_url: &str,
    admin_port: u16,
) -> Result<ProcessCommand> {
    service_of(&Build::This, program, command, database_url, admin_port)
}

fn service_of(
    build: &Build,
    program: &str,
    command: &str,
    database_url: &str,
    admin_port: u16,
) -> Result<ProcessCommand> {
    let role = match program {
        "tiris-api" => Role::Api,
        _ => Role::Ingest,
    };

    Ok(Process::command(build.program(program)?)
        .arg(command)
        .env("DATABASE_URL", build.database_url(database_url, role)?)
        .env("TIRIS_ADMIN_LISTEN", format!("127.0.0.1:{admin_port}"))
        .env("TIRIS_ENV", "dev")
        .show_log(false))
}

/// Returns the URL that answers 200 once the service with this admin port is ready.
#[must_use]
pub fn ready_url(admin_port: u16) -> String {
    format!("http://127.0.0.1:{admin_port}/health/ready")
}

/// A running service on a free admin port.
#[derive(Debug)]
pub struct Service {
    /// The process of the service.
    pub process: Process,
    admin_port: u16,
}

impl Service {
    /// Starts `program command` of this build without waiting until it is ready; `configure` adds settings.
    ///
    /// # Errors
    /// When the program is missing or cannot be started.
    pub fn launch(
        program: &str,
        command: &str,
        database_url: &str,
        configure: impl FnOnce(ProcessCommand) -> ProcessCommand,
    ) -> Result<Self> {
        Self::launch_of(&Build::This, program, command, database_url, configure)
    }

    /// Like [`Self::launch`], of any build.
    ///
    /// # Errors
    /// When the program is missing or cannot be started.
    pub fn launch_of(
        build: &Build,
        program: &str,
        command: &str,
        database_url: &str,
        configure: impl FnOnce(ProcessCommand) -> ProcessCommand,
    ) -> Result<Self> {
        let admin_port = free_port()?;
        let command = service_of(build, program, command, database_url, admin_port)?;

        Ok(Self {
            process: configure(command).spawn()?,
            admin_port,
        })
    }

    /// Returns the URL that answers 200 once the service is ready.
    #[must_use]
    pub fn ready_url(&self) -> String {
        ready_url(self.admin_port)
    }

    /// Returns the URL of the Prometheus metrics.
    #[must_use]
    pub fn metrics_url(&self) -> String {
        format!("http://127.0.0.1:{}/metrics", self.admin_port)
    }

    /// Waits until the service is ready.
    ///
    /// # Errors
    /// When the process ends or takes too long.
    pub async fn wait_until_ready(&mut self) -> Result<()> {
        let url = self.ready_url();
        self.process.wait_until_healthy(&url, READY_LIMIT).await
    }

    /// Sends SIGTERM, waits for the end of the process and returns how long that took.
    ///
    /// # Errors
    /// When the process takes too long, and stays running, or its exit code is not 0.
    pub async fn stop(&mut self) -> Result<Duration> {
        let begun = Instant::now();
        let exit = self.process.terminate(STOP_LIMIT).await?;
        ensure!(
            exit.code() == Some(0),
            "{} ended with {exit} after SIGTERM:\n{}",
            self.process.name(),
            self.process.log_tail()
        );
        Ok(begun.elapsed())
    }
}

/// Runs a program to its end and returns its standard output. The program is killed when the future is dropped.
///
/// # Errors
/// When the program cannot be started or fails; the error has all its output.
pub async fn run_program(command: &mut tokio::process::Command) -> Result<String> {
    let program = command
        .as_std()
        .get_program()
        .to_string_lossy()
        .into_owned();
    let output = command
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .with_context(|| format!("cannot run {program}"))?;

    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "{program} failed ({}): {}\n{}",
        output.status,
        stderr.trim(),
        stdout.trim()
    );
    Ok(stdout)
}
