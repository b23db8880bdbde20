//! Commands of the system, some of them as root; each is shown before it runs.

use anyhow::{Context, Result, ensure};
use nix::unistd::Uid;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

const EXECUTABLE: u32 = 0o755;

pub(super) fn apt_update() -> Result<()> {
    execute(privileged("apt-get")?.arg("update"))
}

pub(super) fn apt_install(packages: &[&str]) -> Result<()> {
    let mut command = privileged("env")?;
    command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y"]);
    execute(command.arg("--no-install-recommends").args(packages))
}

/// Returns `program` as root: directly, or by sudo, which may require a password.
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
    let words: Vec<_> = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| word.to_string_lossy())
        .collect();
    let words = words.join(" ");
    say!("$ {words}");
    let status = command
        .status()
        .with_context(|| format!("cannot run {words}"))?;
    ensure!(status.success(), "{words}: {status}");
    Ok(())
}

pub(super) fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|program| program.is_file())
}

/// Copies a program and makes it executable.
pub(super) fn copy_program(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to).with_context(|| format!("cannot copy {}", from.display()))?;
    fs::set_permissions(to, fs::Permissions::from_mode(EXECUTABLE))?;
    Ok(())
}
