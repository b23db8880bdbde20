//! Finding the programs of PostgreSQL and NATS on this machine.
//!
//! Owns: where they may lie and which versions will do. Must not know: how they are started or installed.

use super::place::dev_dir;
use anyhow::{Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

/// `NULLS NOT DISTINCT` came with it.
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
/// Looks into `TIRIS_PG_BIN` alone when it is set, else into PATH, the folders of Debian and Red Hat (newest
/// first), and Homebrew.
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
        Some(major) => format!("PostgreSQL {major}, which made the data here,"),
        None => format!("PostgreSQL {OLDEST_POSTGRES} or newer"),
    };

    bail!(
        "{wanted} was not found{}: run `make tools`, or set TIRIS_PG_BIN to the folder with initdb",
        but(&seen)
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

/// The `bin` folders of `parent/<name>` for the names that tell a version, newest first.
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
    // Links are followed: Debian's own commands on PATH are not beside the programs they need.
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
/// Looks at `TIRIS_NATS_SERVER` alone when it is set, else into PATH, Homebrew and the development folder's `bin`.
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
        but(&seen)
    );
}

/// Finds `promtool` on PATH or in the development folder; none where it is missing.
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

/// Reads `nats-server: v2.15.1`.
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

fn but(seen: &[String]) -> String {
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
    fn the_version_of_a_nats_server_is_read_from_what_it_prints() {
        assert_eq!(nats_version("nats-server: v2.15.1\n"), Some((2, 15)));
        assert_eq!(nats_version("nats-server: v2.12.0-RC.3\n"), Some((2, 12)));
        assert_eq!(nats_version(""), None);
        assert_eq!(nats_version("no such thing"), None);
    }

    #[test]
    fn of_several_versions_the_newest_comes_first() {
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
