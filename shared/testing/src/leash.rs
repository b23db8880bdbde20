//! A guard that ends the processes we started when we die, however we die.
//!
//! Owns: the guard process and what it is told. Must not know: what the guarded processes do.
//!
//! The guard is a small shell script reading a pipe whose other end only this process holds. The end of the pipe is
//! our death; then the guard signals what it still holds, newest first, waits for the ends, and removes our scratch
//! folder. It lives in a process group of its own, so that Ctrl-C in a terminal does not reach it.

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use std::fs::File;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::{Mutex, PoisonError};

/// After this many tenths of a second a process that ignored its signal is killed.
const PATIENCE_TENTHS: &str = "200";

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

/// The pipe to the guard of this process, made with the first order.
static ORDERS: Mutex<Option<ChildStdin>> = Mutex::new(None);

/// Has process `pid` sent `signal` when we die.
pub(super) fn hold(pid: u32, signal: Signal) -> Result<()> {
    order(&format!(
        "hold {pid}:{}",
        signal.as_str().trim_start_matches("SIG")
    ))
}

/// Forgets process `pid`; to be called right after its end was waited for, before the number is used again.
pub(super) fn free(pid: u32) -> Result<()> {
    order(&format!("free {pid}"))
}

/// Has `folder` removed when we die, after the processes.
pub(super) fn remove(folder: &Path) -> Result<()> {
    order(&format!("remove {}", folder.display()))
}

/// Keeps `file` open (and what depends on it, such as a lock) until the last process we hold has ended, also when we
/// die. To be called before anything is started.
pub fn keep_open_until_all_ended(file: File) -> Result<()> {
    let mut orders = ORDERS.lock().unwrap_or_else(PoisonError::into_inner);
    ensure!(orders.is_none(), "the guard process was started before");
    // The guard writes nothing: its output is only a way to hand the open file over.
    *orders = Some(start_guard(file.into())?);
    Ok(())
}

fn order(line: &str) -> Result<()> {
    let mut orders = ORDERS.lock().unwrap_or_else(PoisonError::into_inner);
    let pipe = match orders.take() {
        Some(pipe) => pipe,
        None => start_guard(Stdio::null())?,
    };
    writeln!(orders.insert(pipe), "{line}").context("the guard process is gone")
}

fn start_guard(output: Stdio) -> Result<ChildStdin> {
    let guard = Command::new("/bin/sh")
        .args(["-c", SCRIPT, "tiris-leash", PATIENCE_TENTHS])
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(output)
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .context("cannot start the guard process /bin/sh")?;
    guard.stdin.context("the guard process has no input")
}
