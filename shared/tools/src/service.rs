//! The services of this build as processes with the settings of a development run.

use anyhow::Result;
use std::time::Duration;
use tiris_testing::{Process, ProcessCommand, binary};

/// From start to ready, with everything it needs running.
pub const READY_LIMIT: Duration = Duration::from_secs(60);

/// Describes `program command`, such as `tiris-ingest run`; its log is shown by nobody but its starter.
///
/// # Errors
/// When the program is missing.
pub fn service(
    program: &str,
    command: &str,
    database_url: &str,
    admin_port: u16,
) -> Result<ProcessCommand> {
    Ok(Process::command(binary(program)?)
        .arg(command)
        .env("DATABASE_URL", database_url)
        .env("TIRIS_ADMIN_LISTEN", format!("127.0.0.1:{admin_port}"))
        .env("TIRIS_ENV", "dev")
        .show_log(false))
}

/// The address at which the service with this admin port answers 200 once it is ready.
#[must_use]
pub fn ready_url(admin_port: u16) -> String {
    format!("http://127.0.0.1:{admin_port}/health/ready")
}
