//! Creates the folder of a PostgreSQL server and the cluster in it.

use super::server_user::ServerUser;
use super::tools::PgTools;
use anyhow::{Context, Result, bail};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

/// The superuser, who needs no password on this machine.
const USER: &str = "tiris";
/// C.UTF-8 exists only with glibc and musl; C sorts the same way.
const LOCALE: &str = if cfg!(target_os = "linux") {
    "--locale=C.UTF-8"
} else {
    "--locale=C"
};
/// Variables that would redirect PostgreSQL's programs.
pub(super) const REDIRECTING: [&str; 6] = [
    "PGDATA",
    "PGHOST",
    "PGPORT",
    "PGUSER",
    "PGDATABASE",
    "PGOPTIONS",
];

/// Returns the address of a database of the server on `port`.
pub(super) fn url(port: u16, database: &str) -> String {
    format!("postgres://{USER}@127.0.0.1:{port}/{database}")
}

/// Creates `dir` when it is missing, and makes the server's user its owner.
pub(super) fn prepare_dir(dir: &Path, user: Option<&ServerUser>) -> Result<()> {
    fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
    let Some(user) = user else {
        return Ok(());
    };
    user.own(dir)?;
    fs::set_permissions(dir, fs::Permissions::from_mode(0o700))?;

    if !user.can_reach(&dir.canonicalize()?) {
        bail!(
            "the user {}, who runs PostgreSQL instead of root, may not enter {}: choose another folder",
            user.name(),
            dir.display()
        );
    }

    Ok(())
}

/// Creates the cluster `dir/data`, after removing an unfinished one that a crash left.
pub(super) fn create_cluster(
    tools: &PgTools,
    user: Option<&ServerUser>,
    dir: &Path,
    durable: bool,
) -> Result<()> {
    let unfinished = dir.join("data.unfinished");
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished).context("cannot remove an unfinished cluster")?;
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
    for name in REDIRECTING {
        command.env_remove(name);
    }
    if let Some(user) = user {
        user.run(&mut command);
    }

    run(&mut command)?;
    fs::rename(&unfinished, dir.join("data")).context("cannot rename the new cluster")
}

/// Copies the cluster of the server on `port` to `dir/data`, as that of a standby that follows it.
pub(super) fn copy_cluster(
    tools: &PgTools,
    user: Option<&ServerUser>,
    dir: &Path,
    port: u16,
) -> Result<()> {
    let mut command = Command::new(tools.bin.join("pg_basebackup"));
    command
        .arg("-D")
        .arg(dir.join("data"))
        .args(["-d", &url(port, "postgres"), "--write-recovery-conf"])
        .args(["--wal-method=stream", "--checkpoint=fast", "--no-sync"])
        .env("LC_ALL", "C")
        .current_dir(dir);
    for name in REDIRECTING {
        command.env_remove(name);
    }
    if let Some(user) = user {
        user.run(&mut command);
    }
    run(&mut command)
}

fn run(command: &mut Command) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command
        .output()
        .with_context(|| format!("cannot run {program}"))?;
    if !output.status.success() {
        bail!(
            "{program} failed ({}):\n{}{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}
