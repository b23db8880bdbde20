//! Finds programs on this machine: those of this workspace, PostgreSQL, NATS, promtool and Schemathesis.

use super::folders::dev_dir;
use anyhow::{Context, Result, bail, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The first version with `NULLS NOT DISTINCT`.
const OLDEST_POSTGRES: u32 = 15;
/// Major and minor version.
const OLDEST_NATS: (u32, u32) = (2, 12);
const HOMEBREW: [&str; 3] = ["/opt/homebrew", "/usr/local", "/home/linuxbrew/.linuxbrew"];

/// The server programs of one PostgreSQL version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PgTools {
    /// The folder with `postgres` and `initdb`.
    pub bin: PathBuf,
    /// The major version.
    pub major: u32,
}

/// Finds PostgreSQL 15 or newer; with `major`, exactly that version.
///
/// Searches only `TIRIS_PG_BIN` when it is set, otherwise PATH, the folders of Debian and Red Hat (newest first) and Homebrew.
pub fn find_postgres(major: Option<u32>) -> Result<PgTools> {
    let mut seen = Vec::new();
    for folder in postgres_folders() {
        let Some(tools) = postgres_in(&folder) else {
            continue;
        };
        if tools.major >= OLDEST_POSTGRES && major.is_none_or(|major| major == tools.major) {
            return Ok(tools);
        }
        seen.push(format!(
            "version {} in {}",
            tools.major,
            tools.bin.display()
        ));
    }

    let wanted = match major {
        Some(major) => format!("PostgreSQL {major}, which created the data here,"),
        None => format!("PostgreSQL {OLDEST_POSTGRES} or newer"),
    };

    bail!(
        "{wanted} was not found{}: run `make tools`, or set TIRIS_PG_BIN to the folder with initdb",
        found_only(&seen)
    );
}

fn postgres_folders() -> Vec<PathBuf> {
    if let Some(folder) = setting("TIRIS_PG_BIN") {
        return vec![folder];
    }
    let mut folders = path_folders();
    for parent in ["/usr/lib/postgresql", "/usr"] {
        folders.extend(versioned(Path::new(parent), |name| {
            name.trim_start_matches("pgsql-").parse().ok()
        }));
    }

    for prefix in homebrew() {
        let formula = |name: &str| {
            name.strip_prefix("postgresql@")
                .and_then(|version| version.parse().ok())
        };
        folders.extend(versioned(&prefix.join("opt"), formula));
        folders.push(prefix.join("opt/postgresql/bin"));
    }

    folders
}

/// Returns the `bin` folders of `parent/<name>` for names that contain a version, newest first.
fn versioned(parent: &Path, version_of: impl Fn(&str) -> Option<u32>) -> Vec<PathBuf> {
    let entries = parent.read_dir().into_iter().flatten().flatten();
    let versioned = entries.filter_map(|entry| {
        let version = version_of(entry.file_name().to_str()?)?;
        Some((version, entry.path().join("bin")))
    });
    let mut found: Vec<(u32, PathBuf)> = versioned.collect();
    found.sort_by(|a, b| b.cmp(a));
    found.into_iter().map(|(_, folder)| folder).collect()
}

fn postgres_in(folder: &Path) -> Option<PgTools> {
    // Resolves links, because Debian's commands on PATH are not beside the programs they need.
    let server = folder.join("postgres").canonicalize().ok()?;
    let bin = server.parent()?.to_owned();
    if !bin.join("initdb").is_file() {
        return None;
    }
    let version = version_text(&server)?;
    let major = version
        .split_whitespace()
        .nth(2)?
        .split(|c: char| !c.is_ascii_digit())
        .next()?
        .parse()
        .ok()?;

    Some(PgTools { bin, major })
}

/// Finds `nats-server` 2.12 or newer.
///
/// Checks only `TIRIS_NATS_SERVER` when it is set, otherwise PATH, Homebrew and the `bin` of the development folder.
pub fn find_nats_server() -> Result<PathBuf> {
    let candidates = match setting("TIRIS_NATS_SERVER") {
        Some(program) => vec![program],
        None => {
            let folders = path_folders()
                .into_iter()
                .chain(homebrew().into_iter().map(|prefix| prefix.join("bin")));
            let folders = folders.chain(dev_dir().map(|dir| dir.join("bin")));
            folders.map(|folder| folder.join("nats-server")).collect()
        }
    };

    let mut seen = Vec::new();
    for program in candidates.into_iter().filter(|program| program.is_file()) {
        let version = version_text(&program).unwrap_or_default();
        if nats_version(&version).is_some_and(|version| version >= OLDEST_NATS) {
            return Ok(program);
        }
        seen.push(format!("{:?} in {}", version.trim(), program.display()));
    }

    let (major, minor) = OLDEST_NATS;
    bail!(
        "nats-server {major}.{minor} or newer was not found{}: run `make tools`, or set TIRIS_NATS_SERVER",
        found_only(&seen)
    );
}

/// Finds a program of this workspace, such as `tiris-ingest`, in the build this process belongs to.
pub fn binary(name: &str) -> Result<PathBuf> {
    let executable = std::env::current_exe().context("cannot find this executable")?;
    let mut folder = executable
        .parent()
        .context("this executable has no folder")?;
    // Test programs are in `deps`, one level below the others.
    if folder.ends_with("deps") {
        folder = folder.parent().context("`deps` has no parent folder")?;
    }

    let program = folder.join(name);
    ensure!(
        program.is_file(),
        "{} is missing: run `cargo build --workspace --bins` first",
        program.display()
    );

    Ok(program)
}

/// The packages of Schemathesis, pinned by hash.
pub const SCHEMATHESIS_REQUIREMENTS: &str = include_str!("schemathesis/requirements.txt");
/// The file in its folder that records the installed packages.
pub const SCHEMATHESIS_REQUIREMENTS_FILE: &str = "requirements.txt";

/// Returns the folder of Schemathesis, a Python environment, installed or not.
pub fn schemathesis_dir() -> Result<PathBuf> {
    Ok(dev_dir()?.join("bin/schemathesis"))
}

/// Finds Schemathesis, installed with the packages of this build.
pub fn find_schemathesis() -> Result<PathBuf> {
    let folder = schemathesis_dir()?;
    let installed = std::fs::read_to_string(folder.join(SCHEMATHESIS_REQUIREMENTS_FILE));
    let program = folder.join("bin/schemathesis");
    ensure!(
        program.is_file()
            && installed.is_ok_and(|installed| installed == SCHEMATHESIS_REQUIREMENTS),
        "Schemathesis is not installed in {}: run `make fuzz`",
        folder.display()
    );
    Ok(program)
}

/// Finds `promtool` on PATH or in the development folder.
#[must_use]
pub fn find_promtool() -> Option<PathBuf> {
    let programs = dev_dir().into_iter().map(|dir| dir.join("bin"));
    let own = programs.flat_map(|bin| [bin.join("docker-tools/bin"), bin]);
    path_folders()
        .into_iter()
        .chain(own)
        .map(|folder| folder.join("promtool"))
        .find(|program| program.is_file())
}

/// Parses `nats-server: v2.15.1`.
fn nats_version(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.rsplit('v').next()?.trim().split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

fn version_text(program: &Path) -> Option<String> {
    let output = Command::new(program).arg("--version").output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn setting(name: &str) -> Option<PathBuf> {
    std::env::var_os(name)
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
}

fn path_folders() -> Vec<PathBuf> {
    std::env::var_os("PATH")
        .map(|path| std::env::split_paths(&path).collect())
        .unwrap_or_default()
}

fn homebrew() -> Vec<PathBuf> {
    setting("HOMEBREW_PREFIX")
        .into_iter()
        .chain(HOMEBREW.map(PathBuf::from))
        .collect()
}

fn found_only(seen: &[String]) -> String {
    if seen.is_empty() {
        String::new()
    } else {
        format!(" (found only {})", seen.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_the_version_of_a_nats_server() {
        assert_eq!(nats_version("nats-server: v2.15.1\n"), Some((2, 15)));
        assert_eq!(nats_version("nats-server: v2.12.0-RC.3\n"), Some((2, 12)));
        assert_eq!(nats_version(""), None);
        assert_eq!(nats_version("no such thing"), None);
    }

    #[test]
    fn the_newest_version_comes_first() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["9.6", "14", "16", "15", "readme"] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
        }
        let found = versioned(dir.path(), |name| name.parse().ok());
        let expected: Vec<PathBuf> = ["16", "15", "14"]
            .iter()
            .map(|name| dir.path().join(name).join("bin"))
            .collect();
        assert_eq!(found, expected);
    }
}
