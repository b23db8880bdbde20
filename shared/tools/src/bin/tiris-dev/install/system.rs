//! Running commands, some of them as root.
//!
//! Owns: how root is asked, and that a person sees each command. Must not know: what is installed.

use crate::say::say;
use anyhow::{Context, Result, bail};
use nix::unistd::Uid;
use std::path::PathBuf;
use std::process::Command;

pub(super) fn apt_install(packages: &[&str]) -> Result<()> {
    let mut command = privileged("env")?;
    command.args([
        "DEBIAN_FRONTEND=noninteractive",
        "apt-get",
        "install",
        "-y",
        "--no-install-recommends",
    ]);
    execute(command.args(packages))
}

/// Installs packages by apt where it is there, else one by Homebrew; false when neither is.
pub(super) fn install_package(apt: &[&str], brew: &str) -> Result<bool> {
    if on_path("apt-get").is_some() {
        apt_update()?;
        apt_install(apt)?;
        return Ok(true);
    }
    let Some(program) = on_path("brew") else {
        return Ok(false);
    };
    execute(Command::new(program).args(["install", brew]))?;
    Ok(true)
}

pub(super) fn apt_update() -> Result<()> {
    execute(privileged("apt-get")?.arg("update"))
}

/// `program` as root: directly when we are, else by sudo, which may ask for a password.
pub(super) fn privileged(program: &str) -> Result<Command> {
    if Uid::effective().is_root() {
        return Ok(Command::new(program));
    }
    let sudo = on_path("sudo")
        .context("this needs root and there is no sudo: run `make tools` as root once")?;
    let mut command = Command::new(sudo);
    command.arg(program);
    Ok(command)
}

/// Runs a command with its output shown.
pub(super) fn execute(command: &mut Command) -> Result<()> {
    let words: Vec<String> = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let words = words.join(" ");
    say!("$ {words}");
    let status = command
        .status()
        .with_context(|| format!("cannot run {words}"))?;
    if !status.success() {
        bail!("{words}: {status}");
    }
    Ok(())
}

pub(super) fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|program| program.is_file())
}
