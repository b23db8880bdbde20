//! Installs PgBouncer by the system's package manager, without its service.

use super::system::{apt_install, apt_update, execute, on_path, privileged};
use anyhow::{Result, bail};
use std::process::Command;

pub(super) fn install() -> Result<()> {
    say!("PgBouncer is not on this machine: installing it.");
    if on_path("apt-get").is_some() {
        apt_update()?;
        apt_install(&["pgbouncer"])?;
        // Debian's package starts a service, which containers do not have.
        if on_path("systemctl").is_some() {
            execute(privileged("systemctl")?.args(["disable", "--now", "pgbouncer"])).ok();
        }
        return Ok(());
    }
    if let Some(brew) = on_path("brew") {
        return execute(Command::new(brew).args(["install", "pgbouncer"]));
    }
    bail!("install it by hand (https://www.pgbouncer.org)");
}
