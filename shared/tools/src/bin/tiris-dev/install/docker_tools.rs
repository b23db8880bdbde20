//! Installs the tools that check the folder `docker`: hadolint, ShellCheck and the schema of compose by pip, the tools of
//! Prometheus and Alertmanager from Debian's packages.

use super::python;
use super::system::{apt_update, execute, on_path};
use crate::folder::{Folder, create, remove};
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::Path;
use std::process::Command;

pub(super) const REQUIREMENTS: &str = include_str!("docker-tools/requirements.txt");
/// Programs and their packages.
const PACKAGED: [(&str, &str); 2] = [
    ("promtool", "prometheus"),
    ("amtool", "prometheus-alertmanager"),
];

pub(super) fn install() -> Result<()> {
    let place = Folder::open()?.programs().join("docker-tools");
    python::install("The tools for docker", "180 MB", &place, REQUIREMENTS)?;

    let is_missing = |(program, _): &(&str, &str)| {
        on_path(program).is_none() && !place.join("bin").join(program).is_file()
    };
    let missing: Vec<_> = PACKAGED.into_iter().filter(is_missing).collect();
    if missing.is_empty() {
        return Ok(());
    }
    ensure!(
        on_path("apt-get").is_some(),
        "promtool and amtool are missing: install Prometheus and Alertmanager, and put them on PATH"
    );

    apt_update()?;
    missing
        .into_iter()
        .try_for_each(|(program, package)| unpack(program, package, &place))
}

/// Extracts a program from its package, which is not installed because it would start a service.
fn unpack(program: &str, package: &str, place: &Path) -> Result<()> {
    let work = place.join("package");
    remove(&work)?;
    create(&work)?;
    let mut download = Command::new("apt-get");
    execute(download.args(["download", package]).current_dir(&work))?;

    let mut files = fs::read_dir(&work)?.flatten().map(|entry| entry.path());
    let file = files.next().context("apt-get downloaded no package")?;
    let mut extract = Command::new("dpkg-deb");
    execute(extract.arg("--extract").arg(file).arg(&work))?;
    let unpacked = work.join("usr/bin").join(program);
    fs::rename(unpacked, place.join("bin").join(program))
        .with_context(|| format!("the package {package} has no {program}"))?;
    remove(&work)
}
