//! Installing Schemathesis into an environment of Python of its own, pinned by hash.
//!
//! Owns: its steps. Must not know: what it is used for.

use super::node::remove;
use super::system::{apt_install, execute, on_path, privileged};
use crate::say;
use anyhow::{Context, Result};
use std::fs;
use std::process::Command;
use tiris_shared::testing::{
    SCHEMATHESIS_REQUIREMENTS, SCHEMATHESIS_REQUIREMENTS_FILE, find_schemathesis, schemathesis_dir,
};

/// Installs it when it is missing or of another version.
pub(super) fn install() -> Result<()> {
    if find_schemathesis().is_ok() {
        return Ok(());
    }
    say!("Schemathesis is not installed: installing it, about 30 MB once.");
    let place = schemathesis_dir()?;
    remove(&place)?;
    let mut environment = Command::new("python3");
    environment.args(["-m", "venv"]).arg(&place);
    let made = environment.output().is_ok_and(|output| output.status.success());
    if !made && on_path("apt-get").is_some() {
        execute(privileged("apt-get")?.arg("update"))?;
        apt_install(&["python3-venv", "ca-certificates"])?;
    }
    if !made {
        remove(&place)?;
        execute(&mut environment)
            .context("this needs Python 3.11 or newer with venv (on Debian python3-venv)")?;
    }
    let mut pip = Command::new(place.join("bin/python3"));
    pip.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-deps",
        "--require-hashes",
    ]);
    pip.args(["--only-binary", ":all:", "--requirement"]);
    // Written last under the name by which an installation is known to be complete.
    let wanted = place.join("wanted.txt");
    fs::write(&wanted, SCHEMATHESIS_REQUIREMENTS)?;
    execute(pip.arg(&wanted))?;
    fs::rename(wanted, place.join(SCHEMATHESIS_REQUIREMENTS_FILE))?;
    find_schemathesis().map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_downloaded_is_pinned_by_hash() {
        assert!(SCHEMATHESIS_REQUIREMENTS.contains("schemathesis==4.32.5"));
        let packages = SCHEMATHESIS_REQUIREMENTS.matches("==").count();
        assert!(packages > 10 && SCHEMATHESIS_REQUIREMENTS.matches("--hash=sha256:").count() >= packages);
    }
}
