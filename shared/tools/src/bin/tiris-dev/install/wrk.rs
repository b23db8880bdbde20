//! Installing wrk, which generates requests, by the system's package manager.

use super::system::{install_package, on_path};
use crate::say::say;
use anyhow::{Result, ensure};

pub(super) fn install() -> Result<()> {
    if on_path("wrk").is_some() {
        return Ok(());
    }
    say!("wrk is not on this machine: installing it.");
    ensure!(
        install_package(&["wrk"], "wrk")?,
        "install it by hand: https://github.com/wg/wrk"
    );
    Ok(())
}
