//! A private PgBouncer in front of a PostgreSQL server.

use super::folders::scratch_dir;
use super::port::on_free_port;
use super::process::Process;
use super::server_user::ServerUser;
use anyhow::Result;
use nix::sys::signal::Signal;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;
use tiris_migrations::roles::rights::Role;
use tokio::net::TcpStream;

const START_LIMIT: Duration = Duration::from_secs(20);
/// Debian installs it where only root looks.
const PLACES: [&str; 2] = ["/usr/sbin", "/usr/local/sbin"];

/// Finds `pgbouncer` on PATH or among the programs of the system.
#[must_use]
pub fn find_pgbouncer() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(PLACES.map(PathBuf::from))
        .map(|folder| folder.join("pgbouncer"))
        .find(|program| program.is_file())
}

/// A running PgBouncer. Dropping it ends it.
#[derive(Debug)]
pub struct PgBouncer {
    port: u16,
    _process: Process,
    // The last field, so that it is dropped after the process.
    _folder: TempDir,
}

impl PgBouncer {
    /// Starts a PgBouncer for all databases of the server on `port`, with additional `settings` as `name = value`.
    pub async fn start(program: &Path, port: u16, settings: &[&str]) -> Result<Self> {
        let folder = scratch_dir("pgbouncer")?;
        let user = ServerUser::for_servers()?;
        let logins = ["tiris"].into_iter().chain(Role::ALL.map(Role::name));
        let logins: String = logins.map(|login| format!("\"{login}\" \"\"\n")).collect();
        fs::write(folder.path().join("users"), logins)?;
        if let Some(user) = &user {
            user.own(folder.path())?;
        }

        let file = folder.path().join("pgbouncer.ini");
        let (own, process) = on_free_port(None, async |own| {
            let users = folder.path().join("users");
            let text = format!(
                "[databases]\n* = host=127.0.0.1 port={port}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
                 listen_port = {own}\nauth_type = trust\nauth_file = {}\nunix_socket_dir =\n{}\n",
                users.display(),
                settings.join("\n")
            );
            fs::write(&file, text)?;
            Ok((own, launch(program, &file, user.as_ref(), own).await?))
        })
        .await?;

        Ok(Self {
            port: own,
            _process: process,
            _folder: folder,
        })
    }

    /// Returns the port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

async fn launch(
    program: &Path,
    file: &Path,
    user: Option<&ServerUser>,
    port: u16,
) -> Result<Process> {
    let mut command = Process::command(program)
        .signal_on_exit(Signal::SIGTERM)
        .show_log(false)
        .arg(file);
    if let Some(user) = user {
        user.run(&mut command.command);
    }

    let mut process = command.spawn()?;
    process
        .watch("PgBouncer takes connections", START_LIMIT, async |_| {
            Ok(TcpStream::connect(("127.0.0.1", port)).await.map(drop)?)
        })
        .await?;
    Ok(process)
}
