//! The settings of all processes of the system.

use std::time::Duration;

/// Lanes per stream: few, so that each worker's lanes change hands often.
pub(crate) const LANES: u32 = 4;
/// The shortest lease there is.
pub(crate) const LEASE: Duration = Duration::from_secs(2);
/// From SIGTERM to the end.
pub(crate) const EXIT_LIMIT: Duration = Duration::from_secs(20);

/// The address of the database behind a port of this machine.
pub(super) fn database_url(port: u16) -> String {
    format!("postgres://tiris@127.0.0.1:{port}/postgres")
}
