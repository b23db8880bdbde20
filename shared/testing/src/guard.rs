//! A guard process that ends the processes this process started when it dies for any reason.
//!
//! The guard is a shell script that reads a pipe whose other end only this process holds. When the pipe closes, the guard
//! signals the remaining processes, newest first, waits for their ends, and removes the scratch folder. It has its own
//! process group, so that Ctrl-C in a terminal does not reach it.

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use std::fs::File;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::{Mutex, PoisonError};

/// Tenths of a second after which a process that ignores its signal is killed.
const GRACE_TENTHS: &str = "200";

const SCRIPT: &str = r#"
trap '' HUP INT TERM
held=
folder=
while read -r verb rest; do
    case $verb in
    hold) held="$rest $held" ;;
    free)
        kept=
        for item in $held; do
            [ "${item%%:*}" = "$rest" ] || kept="$kept$item "
        done
        held=$kept
        ;;
    remove) folder=$rest ;;
    esac
done
for item in $held; do
    kill -"${item#*:}" "${item%%:*}"
done
for item in $held; do
    tenths=0
    while kill -0 "${item%%:*}" && [ $tenths -lt "$1" ]; do
        sleep 0.1
        tenths=$((tenths + 1))
    done
    kill -KILL "${item%%:*}"
done
[ -z "$folder" ] || rm -rf "$folder"
"#;

/// The pipe to the guard, created with the first command.
static COMMANDS: Mutex<Option<ChildStdin>> = Mutex::new(None);

/// Makes the guard send `signal` to process `pid` when this process dies.
pub(super) fn hold(pid: u32, signal: Signal) -> Result<()> {
    send(&format!(
        "hold {pid}:{}",
        signal.as_str().trim_start_matches("SIG")
    ))
}

/// Removes process `pid` from the guard; call it right after the process was reaped, before its number is reused.
pub(super) fn free(pid: u32) -> Result<()> {
    send(&format!("free {pid}"))
}

/// Makes the guard remove `folder` when this process dies, after ending the processes.
pub(super) fn remove(folder: &Path) -> Result<()> {
    send(&format!("remove {}", folder.display()))
}

/// Keeps `file` open, with any lock on it, until the last guarded process has ended, even after this process died. Must be
/// called before any process is started.
pub fn keep_open_until_all_ended(file: File) -> Result<()> {
    let mut commands = COMMANDS.lock().unwrap_or_else(PoisonError::into_inner);
    ensure!(commands.is_none(), "the guard process was started before");
    // The guard writes nothing; its output only passes the open file on.
    *commands = Some(start_guard(file.into())?);
    Ok(())
}

fn send(line: &str) -> Result<()> {
    let mut commands = COMMANDS.lock().unwrap_or_else(PoisonError::into_inner);
    let pipe = match commands.take() {
        Some(pipe) => pipe,
        None => start_guard(Stdio::null())?,
    };
    writeln!(commands.insert(pipe), "{line}").context("the guard process is gone")
}

fn start_guard(output: Stdio) -> Result<ChildStdin> {
    let guard = Command::new("/bin/sh")
        .args(["-c", SCRIPT, "tiris-guard", GRACE_TENTHS])
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(output)
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .context("cannot start the guard process /bin/sh")?;
    guard.stdin.context("the guard process has no input")
}
