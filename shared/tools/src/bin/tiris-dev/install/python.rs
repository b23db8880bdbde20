//! Environments of Python whose packages are pinned by hash.
//!
//! Owns: how one is made, and how a complete one is known. Must not know: what is in it.

use super::node::remove;
use super::system::{apt_install, apt_update, execute, on_path};
use super::wheel::{PIP_OPTIONS, succeeds};
use anyhow::{Context, Result};
use std::fs;
use std::path::Path;
use std::process::Command;

/// Fills `place` with what `requirements` names. They are written last, into the file `remembered`, by which an
/// installation is known to be complete.
pub(super) fn install(place: &Path, requirements: &str, remembered: &str) -> Result<()> {
    remove(place)?;
    let mut environment = Command::new("python3");
    environment.args(["-m", "venv"]).arg(place);
    let made = succeeds(&mut environment);
    if !made && on_path("apt-get").is_some() {
        apt_update()?;
        apt_install(&["python3-venv", "ca-certificates"])?;
    }
    if !made {
        remove(place)?;
        execute(&mut environment)
            .context("this needs Python 3.11 or newer with venv (on Debian python3-venv)")?;
    }

    let wanted = place.join("wanted.txt");
    fs::write(&wanted, requirements)?;
    let mut pip = Command::new(place.join("bin/python3"));
    pip.args(["-m", "pip", "install"]).args(PIP_OPTIONS);
    execute(pip.arg(&wanted))?;
    fs::rename(wanted, place.join(remembered))?;
    Ok(())
}

/// That every package is pinned by hash.
#[cfg(test)]
pub(super) fn check_pinned(requirements: &str) {
    let packages = requirements.matches("==").count();
    assert!(packages > 10 && requirements.matches("--hash=sha256:").count() >= packages);
}
