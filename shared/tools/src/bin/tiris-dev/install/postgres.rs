//! Installs PostgreSQL by the system's package manager, without a cluster.

use super::system::{apt_install, apt_update, execute, on_path, privileged};
use anyhow::{Context, Result, bail};
use std::process::Command;

const BREW_PACKAGE: &str = "postgresql@17";
/// Oldest version of a Linux distribution that works.
const OLDEST_POSTGRES: u32 = 15;
/// Debian's package creates a cluster and a service for it, unless this file forbids it.
const NO_CLUSTER_DIR: &str = "/etc/postgresql-common/createcluster.d";
const NO_CLUSTER_FILE: &str = "/etc/postgresql-common/createcluster.d/tiris-no-main-cluster.conf";

pub(super) fn install() -> Result<()> {
    say!("PostgreSQL {OLDEST_POSTGRES} or newer is not on this machine: installing it.");
    if on_path("apt-get").is_some() {
        return install_by_apt();
    }
    if let Some(brew) = on_path("brew") {
        return execute(Command::new(brew).args(["install", BREW_PACKAGE]));
    }
    bail!(
        "install it by hand (version {OLDEST_POSTGRES} or newer), or set TIRIS_PG_BIN to the folder with initdb"
    );
}

fn install_by_apt() -> Result<()> {
    apt_update()?;
    let output = Command::new("apt-cache")
        .args(["search", "--names-only", "^postgresql-[0-9]+$"])
        .output()?;
    let listed = String::from_utf8_lossy(&output.stdout);
    let major = newest_postgres(&listed).with_context(|| {
        format!(
            "this distribution has no PostgreSQL {OLDEST_POSTGRES} or newer: add the package source of \
             https://wiki.postgresql.org/wiki/Apt and run this again"
        )
    })?;

    // Only during the installation: other clusters of this machine are the owner's decision.
    execute(privileged("mkdir")?.args(["-p", NO_CLUSTER_DIR]))?;
    let forbid = format!("echo 'create_main_cluster = false' > {NO_CLUSTER_FILE}");
    execute(privileged("sh")?.args(["-c", &forbid]))?;
    let installed = apt_install(&[&format!("postgresql-{major}")]);
    execute(privileged("rm")?.args(["-f", NO_CLUSTER_FILE]))?;
    installed
}

/// Returns the highest version in lines like `postgresql-15 - The World's Most Advanced Open Source Relational Database`.
fn newest_postgres(listed: &str) -> Option<u32> {
    let version = |line: &str| {
        let package = line.split_whitespace().next()?;
        package.strip_prefix("postgresql-")?.parse().ok()
    };
    let versions = listed.lines().filter_map(version);
    versions.filter(|major| *major >= OLDEST_POSTGRES).max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_postgresql_of_a_distribution_is_chosen() {
        let listed = "postgresql-13 - database\npostgresql-15 - database\npostgresql-9 - x\npostgresql-common - y\n";
        assert_eq!(newest_postgres(listed), Some(15));
        assert_eq!(newest_postgres("postgresql-14 - database\n"), None);
        assert_eq!(newest_postgres(""), None);
    }
}
