//! The one PostgreSQL server that all test processes of a run share.
//!
//! Owns: starting it once, joining it, its end after the last user. Must not know: databases.
//!
//! Beside the server runs a watchdog, a shell process that reads a named pipe. Every user holds the pipe open for
//! writing, so its death, however it comes, counts as leaving. Some seconds after the last one the watchdog stops
//! the server and removes its folder; at once when the server never became ready.
//!
//! A newcomer may come just then, hence the order of steps: a user first opens the pipe, then looks for the file
//! `ready`; the watchdog first takes `ready` away, then looks for users, and puts it back when it sees one. So at
//! least one of the two sees the other.

use super::place::{base_dir, make_dir, short_hash};
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

/// How long a server without users is kept, in seconds: the time between two test programs of one run.
const IDLE_SECONDS: &str = "20";
/// A server that is going takes at most this long to be gone.
const LEAVING_LIMIT: Duration = Duration::from_secs(60);
const SERVER_PREFIX: &str = "server-";
const PIPE: &str = "users";
/// Holds the port.
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

/// Our share in the server. The server stays at least as long as this is held.
#[derive(Debug)]
pub(super) struct SharedServer {
    /// Its port on 127.0.0.1.
    pub(super) port: u16,
    _pipe: File,
}

/// What became of an attempt to join the server in a folder.
enum Joined {
    Yes(SharedServer),
    /// It is leaving, or its starter died half-way and the watchdog clears up: look again.
    NotReady,
    /// Nobody watches over it.
    Orphan,
}

impl SharedServer {
    /// Joins the server of this run, or starts it when there is none.
    pub(super) async fn join() -> Result<Self> {
        let base = base_dir()?;
        // Held to the end: while one starts a server the others wait.
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

/// Servers of other programs, or with and without TimescaleDB, live side by side.
fn own_prefix() -> Result<String> {
    let tools = find_postgres(None)?;
    let kind = (timescale::is_used_by(&tools)?, &tools.bin);
    Ok(format!("{SERVER_PREFIX}{}-", short_hash(&kind)))
}

/// Removes the folder of somebody else's server when nobody watches over it.
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

/// Joins the server in `dir`; `None` when it went away or nobody watched over it.
async fn join_or_clear(dir: &Path) -> Result<Option<SharedServer>> {
    let what = format!("the test server in {} stays or goes", dir.display());
    eventually(&what, LEAVING_LIMIT, async || match try_join(dir)? {
        Joined::Yes(server) => Ok(Some(server)),
        Joined::NotReady => anyhow::bail!("it is neither ready nor gone"),
        Joined::Orphan => {
            // A server in a folder that is gone ends by itself within a minute.
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
    mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR).context("cannot make a pipe")?;
    // The watchdog comes before the server, so that no moment is left in which our death leaves a server behind.
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

/// Starts the watchdog and returns the pipe's end that says we are here.
fn start_watchdog(dir: &Path, pipe: &Path) -> Result<File> {
    // Opened for both at first: opening one end alone would wait for the other.
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
