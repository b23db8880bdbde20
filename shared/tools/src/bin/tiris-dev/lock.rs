//! The locks that show that a stack runs from this folder, and which process leads it.
//!
//! The kernel releases a lock when its holders end, so locks are never stale. Only the leader holds the file `leader`. The
//! file `lock` is also held by the guard process that ends the servers of a dead leader: when it is free, everything is
//! down.

use crate::folder::{Folder, LEADER_FILE, LOCK_FILE};
use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Seek;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;
use tiris_testing::{eventually, keep_open_until_all_ended};

/// The servers of a dead leader are down within this time.
const ORPHAN_LIMIT: Duration = Duration::from_secs(60);

/// Where a stack runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) enum Mode {
    Foreground,
    Background,
}

/// The process that leads the running stack.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(crate) struct Leader {
    pub(crate) pid: u32,
    pub(crate) mode: Mode,
}

/// Takes the lead until this process ends; otherwise returns the current leader.
pub(crate) async fn take(folder: &Folder, mode: Mode) -> Result<Option<Leader>> {
    static LEADER: OnceLock<File> = OnceLock::new();
    let what = "the end of the servers that the last stack left";

    eventually(what, ORPHAN_LIMIT, async || {
        let Some(lock) = try_lock(&folder.join(LOCK_FILE))? else {
            return leader(folder)?.map(Some).context("they are still stopping");
        };
        let mut file = try_lock(&folder.join(LEADER_FILE))?
            .context("another process reads the file `leader`")?;
        let pid = std::process::id();
        file.set_len(0)?;
        file.rewind()?;
        serde_json::to_writer(&file, &Leader { pid, mode })
            .context("cannot write the file `leader`")?;
        LEADER.get_or_init(|| file);
        keep_open_until_all_ended(lock)?;
        anyhow::Ok(None)
    })
    .await
}

/// Returns the leader of the running stack; `None` when nothing runs.
pub(crate) fn leader(folder: &Folder) -> Result<Option<Leader>> {
    let file = folder.join(LEADER_FILE);
    if try_lock(&file)?.is_some() {
        return Ok(None);
    }
    let text = fs::read(file).context("cannot read the file `leader`")?;
    serde_json::from_slice(&text)
        .map(Some)
        .context("the file `leader` is not complete: try again")
}

/// Stops the running stack, and waits until all of it is down; `false` when nothing ran.
pub(crate) async fn stop(folder: &Folder, limit: Duration) -> Result<bool> {
    if try_lock(&folder.join(LOCK_FILE))?.is_some() {
        return Ok(false);
    }
    if let Some(leader) = leader(folder)? {
        terminate(leader.pid)?;
    }

    let is_free = async || {
        let lock = try_lock(&folder.join(LOCK_FILE))?;
        lock.map(drop).context("it is still running")
    };
    eventually("the end of the stack", limit, is_free).await?;
    Ok(true)
}

/// Sends SIGTERM to a process; does nothing when it has ended.
pub(crate) fn terminate(pid: u32) -> Result<()> {
    let pid = i32::try_from(pid).context("process number out of range")?;
    match kill(Pid::from_raw(pid), Signal::SIGTERM) {
        Ok(()) | Err(Errno::ESRCH) => Ok(()),
        Err(error) => bail!("cannot stop process {pid}: {error}"),
    }
}

fn try_lock(path: &Path) -> Result<Option<File>> {
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(path)
        .with_context(|| format!("cannot open {}", path.display()))?;

    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("cannot lock {}", path.display()))
        }
    }
}
