//! The one PostgreSQL server that all test processes of a run share: started once, stopped after its last user.
//!
//! A watchdog, a shell process, reads a named pipe that every user holds open for writing, so that the death of a user for
//! any reason closes its end. Some seconds after the last one the watchdog stops the server and removes its folder; at
//! once when the server never became ready.
//!
//! A new user may join at that moment, hence the order of steps: a user first opens the pipe, then checks for the file
//! `ready`; the watchdog first removes `ready`, then checks for users, and restores it when it sees one. So at least one
//! of the two sees the other.

use super::folders::{base_dir, make_dir, short_hash};
use super::postgres::{PgServer, PgSettings};
use super::timescale;
use super::tools::find_postgres;
use super::wait::eventually;
use anyhow::{Context, Result, ensure};
use nix::errno::Errno;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Seconds a server without users runs on: longer than the time between two test programs of a run.
const IDLE_SECONDS: &str = "20";
/// How long a server may take to stop.
const LEAVING_LIMIT: Duration = Duration::from_secs(60);
const SERVER_PREFIX: &str = "server-";
const PIPE: &str = "users";
/// The file that contains the port.
const READY: &str = "ready";

const WATCHDOG: &str = r#"
trap '' HUP INT TERM
cd "$1" || exit
idle=0
while :; do
    if read -r _; then
        idle=0
    elif [ -e ready ] && [ $idle -lt "$2" ]; then
        idle=$((idle + 1))
        sleep 1
    else
        mv ready leaving
        read -r _ || break
        mv leaving ready
        idle=0
    fi
done
pid=$(head -n 1 postgres/data/postmaster.pid)
if [ -n "$pid" ]; then
    kill -INT "$pid"
    tenths=0
    while kill -0 "$pid" && [ $tenths -lt 300 ]; do
        sleep 0.1
        tenths=$((tenths + 1))
    done
fi
cd / && rm -rf "$1"
"#;

/// The use of the server by this process; the server runs at least as long as this value lives.
#[derive(Debug)]
pub(super) struct SharedServer {
    /// The port on 127.0.0.1.
    pub(super) port: u16,
    _pipe: File,
}

/// The outcome of an attempt to join the server in a folder.
enum Joined {
    Yes(SharedServer),
    /// The server is stopping, or its starter died and the watchdog cleans up: try again.
    NotReady,
    /// The server has no watchdog.
    Orphan,
}

impl SharedServer {
    /// Joins the server of this run, or starts one.
    pub(super) async fn join() -> Result<Self> {
        let base = base_dir()?;
        // Held to the end, so that others wait while this process starts a server.
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(base.join("start.lock"))?;
        let _lock = tokio::task::spawn_blocking(move || lock.lock().map(|()| lock)).await??;
        let prefix = own_prefix()?;

        for dir in servers(&base)? {
            if !dir
                .file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with(&prefix))
            {
                clear_orphan(&dir);
            } else if let Some(server) = join_or_clear(&dir).await? {
                return Ok(server);
            }
        }

        start(&base, &prefix).await
    }
}

/// Servers of different programs, or with and without TimescaleDB, run side by side.
fn own_prefix() -> Result<String> {
    let tools = find_postgres(None)?;
    let kind = (timescale::is_used_by(&tools)?, &tools.bin);
    Ok(format!("{SERVER_PREFIX}{}-", short_hash(&kind)))
}

/// Removes the folder of another server when it has no watchdog.
fn clear_orphan(dir: &Path) {
    if let Ok(Joined::Orphan) = try_join(dir) {
        fs::remove_dir_all(dir).ok();
    }
}

fn servers(base: &Path) -> Result<Vec<PathBuf>> {
    let mut dirs = Vec::new();
    for entry in fs::read_dir(base)? {
        let entry = entry?;
        if entry
            .file_name()
            .to_string_lossy()
            .starts_with(SERVER_PREFIX)
        {
            dirs.push(entry.path());
        }
    }
    Ok(dirs)
}

/// Joins the server in `dir`; None when it stopped or has no watchdog.
async fn join_or_clear(dir: &Path) -> Result<Option<SharedServer>> {
    let what = format!("the test server in {} is ready or gone", dir.display());
    eventually(&what, LEAVING_LIMIT, async || match try_join(dir)? {
        Joined::Yes(server) => Ok(Some(server)),
        Joined::NotReady => anyhow::bail!("it is stopping"),
        Joined::Orphan => {
            // A server whose folder is removed ends by itself within a minute.
            fs::remove_dir_all(dir).ok();
            Ok(None)
        }
    })
    .await
}

fn try_join(dir: &Path) -> Result<Joined> {
    let opened = OpenOptions::new()
        .write(true)
        .custom_flags(nix::fcntl::OFlag::O_NONBLOCK.bits())
        .open(dir.join(PIPE));

    let mut pipe = match opened {
        Ok(pipe) => pipe,
        Err(error) if error.raw_os_error() == Some(Errno::ENXIO as i32) => {
            return Ok(Joined::Orphan);
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Joined::Orphan),
        Err(error) => return Err(error).context("cannot open the pipe of the test server"),
    };

    let Ok(port) = fs::read_to_string(dir.join(READY)) else {
        return Ok(Joined::NotReady);
    };
    if pipe.write_all(b"here\n").is_err() {
        return Ok(Joined::Orphan);
    }
    let port = port.trim().parse().context("the port of the test server")?;

    Ok(Joined::Yes(SharedServer { port, _pipe: pipe }))
}

async fn start(base: &Path, prefix: &str) -> Result<SharedServer> {
    let dir = base.join(format!("{prefix}{}", uuid::Uuid::new_v4().simple()));
    make_dir(&dir)?;
    let path = dir.join(PIPE);
    mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR).context("cannot create a pipe")?;
    // The watchdog starts before the server, so that the death of this process never leaves a server behind.
    let pipe = start_watchdog(&dir, &path)?;
    let settings = PgSettings {
        durable: false,
        ..PgSettings::default()
    };
    let server = PgServer::start_detached(&dir.join("postgres"), settings).await?;
    let port = server.port();
    fs::write(dir.join("ready.new"), port.to_string())?;
    fs::rename(dir.join("ready.new"), dir.join(READY))?;
    server.detach();

    Ok(SharedServer { port, _pipe: pipe })
}

/// Starts the watchdog and returns this process's end of the pipe.
fn start_watchdog(dir: &Path, pipe: &Path) -> Result<File> {
    // Opened for both first, because opening only one end would block.
    let both = OpenOptions::new().read(true).write(true).open(pipe)?;
    let reading = OpenOptions::new().read(true).open(pipe)?;
    let mut writing = OpenOptions::new().write(true).open(pipe)?;
    drop(both);
    writing.write_all(b"here\n")?;
    let watchdog = Command::new("/bin/sh")
        .args(["-c", WATCHDOG, "tiris-watchdog"])
        .arg(dir)
        .arg(IDLE_SECONDS)
        .stdin(reading)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .context("cannot start the watchdog /bin/sh")?;
    ensure!(watchdog.id() > 0, "the watchdog has no process number");

    Ok(writing)
}
