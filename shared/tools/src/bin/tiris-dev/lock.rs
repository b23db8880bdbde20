//! The locks that say a stack runs from this folder, and which process leads it.
//!
//! Owns: taking them, reading the leader, waiting for the end. Must not know: what the leader does.
//!
//! The kernel drops a lock when its holders end, so they never lie. The leader alone holds the file `leader`. The
//! file `lock` is also held by the guard process that ends the servers of a leader that died: when it is free,
//! everything is down.

use crate::folder::Folder;
use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Seek, Write};
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;
use tiris_testing::{eventually, keep_open_until_all_ended};

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

/// Takes the lead for as long as this process lives; else says who has it.
pub(crate) async fn take(folder: &Folder, mode: Mode) -> Result<Option<Leader>> {
    static LEADER: OnceLock<File> = OnceLock::new();
    let what = "the end of the servers that the last stack left";

    eventually(what, ORPHAN_LIMIT, async || {
        let Some(lock) = try_lock(&folder.lock_file())? else {
            return leader(folder)?.map(Some).context("they are going down");
        };
        let file =
            try_lock(&folder.leader_file())?.context("somebody looks at the file `leader`")?;
        sign(&file, mode)?;
        LEADER.get_or_init(|| file);
        keep_open_until_all_ended(lock)?;
        anyhow::Ok(None)
    })
    .await
}

/// The leader of the running stack; `None` when there is none.
pub(crate) fn leader(folder: &Folder) -> Result<Option<Leader>> {
    if try_lock(&folder.leader_file())?.is_some() {
        Ok(None)
    } else {
        read(folder).map(Some)
    }
}

/// Asks the running stack to stop, and waits until all of it is down. False when nothing ran.
pub(crate) async fn stop(folder: &Folder, limit: Duration) -> Result<bool> {
    if try_lock(&folder.lock_file())?.is_some() {
        return Ok(false);
    }
    if let Some(leader) = leader(folder)? {
        match kill(leader.pid, Signal::SIGTERM) {
            Ok(()) | Err(Errno::ESRCH) => {}
            Err(error) => bail!("cannot stop process {}: {error}", leader.pid),
        }
    }

    let free = async || {
        try_lock(&folder.lock_file())?
            .map(drop)
            .context("it still runs")
    };
    eventually("the end of the stack", limit, free).await?;

    Ok(true)
}

fn try_lock(path: &Path) -> Result<Option<File>> {
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(path);
    let file = file.with_context(|| format!("cannot open {}", path.display()))?;

    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("cannot lock {}", path.display()))
        }
    }
}

fn sign(mut file: &File, mode: Mode) -> Result<()> {
    let mode = match mode {
        Mode::Foreground => "foreground",
        Mode::Background => "background",
    };
    file.set_len(0)?;
    file.rewind()?;
    write!(file, "{} {mode}", std::process::id()).context("cannot write the file `leader`")
}

fn read(folder: &Folder) -> Result<Leader> {
    let text = fs::read_to_string(folder.leader_file()).context("cannot read the file `leader`")?;
    let (pid, mode) = text
        .split_once(' ')
        .context("the leader has not signed yet: try again")?;
    let mode = if mode == "background" {
        Mode::Background
    } else {
        Mode::Foreground
    };
    Ok(Leader {
        pid: Pid::from_raw(pid.parse().context("the file `leader` is damaged")?),
        mode,
    })
}
