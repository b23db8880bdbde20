//! The lock that says a stack runs from this folder, and which process leads it.
//!
//! Owns: taking it, reading its holder, waiting for it. Must not know: what the holder does.
//!
//! The kernel drops the lock when its holders end, so it never lies. The guard process that ends the servers of a
//! leader that died holds it too: free means that everything is down.

use crate::folder::Folder;
use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::time::Duration;
use tiris_shared::testing::{eventually, keep_open_until_all_ended};

/// A dead leader's servers are down within this time.
const ORPHAN_LIMIT: Duration = Duration::from_secs(60);

/// How a stack runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Foreground,
    Background,
}

/// Who leads the running stack.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Leader {
    pub(crate) pid: Pid,
    pub(crate) mode: Mode,
}

/// Takes the lock for as long as this process lives; else says who holds it.
pub(crate) async fn take(folder: &Folder, mode: Mode) -> Result<Option<Leader>> {
    let what = "the end of the servers that the last stack left";
    eventually(what, ORPHAN_LIMIT, async || {
        let Some(file) = try_lock(folder)? else {
            let leader = read(folder)?;
            if is_alive(leader.pid) {
                return anyhow::Ok(Some(leader));
            }
            bail!("they are going down");
        };
        write(&file, mode)?;
        keep_open_until_all_ended(file)?;
        Ok(None)
    })
    .await
}

/// The leader of the running stack; `None` when nothing runs.
pub(crate) fn leader(folder: &Folder) -> Result<Option<Leader>> {
    if try_lock(folder)?.is_some() { Ok(None) } else { read(folder).map(Some) }
}

/// Asks the running stack to stop, and waits until all of it is down. False when nothing ran.
pub(crate) async fn stop(folder: &Folder, limit: Duration) -> Result<bool> {
    let Some(leader) = leader(folder)? else { return Ok(false) };
    match kill(leader.pid, Signal::SIGTERM) {
        Ok(()) | Err(Errno::ESRCH) => {}
        Err(error) => bail!("cannot stop process {}: {error}", leader.pid),
    }
    let what = format!("the end of the stack led by process {}", leader.pid);
    eventually(&what, limit, async || try_lock(folder)?.map(drop).context("it still runs")).await?;
    Ok(true)
}

fn try_lock(folder: &Folder) -> Result<Option<File>> {
    let path = folder.lock_file();
    let file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&path);
    let file = file.with_context(|| format!("cannot open {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("cannot lock {}", path.display())),
    }
}

fn write(mut file: &File, mode: Mode) -> Result<()> {
    let mode = match mode {
        Mode::Foreground => "foreground",
        Mode::Background => "background",
    };
    file.set_len(0)?;
    file.rewind()?;
    write!(file, "{} {mode}", std::process::id()).context("cannot write the lock file")
}

fn read(folder: &Folder) -> Result<Leader> {
    let mut text = String::new();
    File::open(folder.lock_file())?.read_to_string(&mut text)?;
    let (pid, mode) = text.split_once(' ').context("the lock is held, and nobody has signed yet")?;
    let mode = if mode == "background" { Mode::Background } else { Mode::Foreground };
    Ok(Leader { pid: Pid::from_raw(pid.parse().context("the lock file is damaged")?), mode })
}

fn is_alive(pid: Pid) -> bool {
    !matches!(kill(pid, None), Err(Errno::ESRCH))
}
