//! The folder of a PostgreSQL server and the cluster in it, before any server runs.
//!
//! Owns: their making and owner. Must not know: running servers.

use super::account::Account;
use super::tools::PgTools;
use anyhow::{Context, Result, bail};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

/// The superuser, whom connections from this machine need no password for.
const USER: &str = "tiris";
/// Only glibc and musl have C.UTF-8 everywhere; elsewhere C sorts the same way.
const LOCALE: &str = if cfg!(target_os = "linux") {
    "--locale=C.UTF-8"
} else {
    "--locale=C"
};
/// Variables that would lead PostgreSQL's programs elsewhere.
pub(super) const MISLEADING: [&str; 6] = [
    "PGDATA",
    "PGHOST",
    "PGPORT",
    "PGUSER",
    "PGDATABASE",
    "PGOPTIONS",
];

/// The address of a database of the server on `port` of this machine.
pub(super) fn url(port: u16, database: &str) -> String {
    format!("postgres://{USER}@127.0.0.1:{port}/{database}")
}

/// Makes `dir` when it is missing, and the server's user its owner.
pub(super) fn prepare_dir(dir: &Path, account: Option<&Account>) -> Result<()> {
    fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    let Some(account) = account else {
        return Ok(());
    };
    account.own(dir)?;
    fs::set_permissions(dir, fs::Permissions::from_mode(0o700))?;

    if !account.can_reach(&dir.canonicalize()?) {
        bail!(
            "user {}, who must run PostgreSQL as we are root, may not enter {}; put it elsewhere",
            account.name(),
            dir.display()
        );
    }

    Ok(())
}

/// Makes the cluster `dir/data`. A half-made one, left by a crash, is made anew.
pub(super) fn make_cluster(
    tools: &PgTools,
    account: Option<&Account>,
    dir: &Path,
    durable: bool,
) -> Result<()> {
    let unfinished = dir.join("data.unfinished");
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished).context("cannot remove a half-made cluster")?;
    }
    let mut command = Command::new(tools.bin.join("initdb"));
    command
        .arg("-D")
        .arg(&unfinished)
        .args(["-U", USER, "--auth=trust", "--encoding=UTF8", LOCALE])
        .arg("--no-instructions")
        .args((!durable).then_some("--no-sync"))
        .env("LC_ALL", "C")
        .current_dir(dir);
    for name in MISLEADING {
        command.env_remove(name);
    }
    if let Some(account) = account {
        account.run(&mut command);
    }

    let output = command
        .output()
        .with_context(|| format!("cannot run initdb of {}", tools.bin.display()))?;
    if !output.status.success() {
        bail!(
            "initdb failed ({}):\n{}{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    fs::rename(&unfinished, dir.join("data")).context("cannot put the new cluster in its place")
}
