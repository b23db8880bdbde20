//! Installing wrk, which generates requests, by the system's package manager.
//!
//! Owns: which package. Must not know: what is asked by it.

use super::system::{apt_install, execute, on_path, privileged};
use crate::say;
use anyhow::{Result, bail};
use std::process::Command;

pub(super) fn install() -> Result<()> {
    if on_path("wrk").is_some() {
        return Ok(());
    }
    say!("wrk is not on this machine: installing it.");
    if on_path("apt-get").is_some() {
        execute(privileged("apt-get")?.arg("update"))?;
        return apt_install(&["wrk"]);
    }
    if let Some(brew) = on_path("brew") {
        return execute(Command::new(brew).args(["install", "wrk"]));
    }
    bail!("install it by hand: https://github.com/wg/wrk")
}
