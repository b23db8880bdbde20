//! A guard that ends the processes we started when we die, however we die.
//!
//! Owns: the guard process and what it is told. Must not know: what the guarded processes do.
//!
//! The guard is a small shell script reading a pipe whose other end only this process holds. The end of the pipe is
//! our death; then the guard signals what it still holds, newest first, waits for the ends, and removes the scratch
//! folder. It lives in a process group of its own, so that Ctrl-C in a terminal does not reach it.

use anyhow::{Context, Result};
use nix::sys::signal::Signal;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};

/// After this many tenths of a second a process that ignored its signal is killed.
const PATIENCE_TENTHS: &str = "200";

const SCRIPT: &str = r#"
trap '' HUP INT TERM
held=
while read -r verb pid signal; do
    case $verb in
    hold) held="$pid:$signal $held" ;;
    free)
        kept=
        for item in $held; do
            [ "${item%%:*}" = "$pid" ] || kept="$kept$item "
        done
        held=$kept
        ;;
    esac
done
for item in $held; do
    kill -"${item#*:}" "${item%%:*}"
done
for item in $held; do
    tenths=0
    while kill -0 "${item%%:*}" && [ $tenths -lt "$2" ]; do
        sleep 0.1
        tenths=$((tenths + 1))
    done
    kill -KILL "${item%%:*}"
done
[ -z "$1" ] || rm -rf "$1"
"#;

/// The guard of this process.
struct Leash {
    guard: Child,
    orders: ChildStdin,
}

static LEASH: OnceLock<Mutex<Option<Leash>>> = OnceLock::new();

/// Has process `pid` sent `signal` when we die. `scratch` is removed then too; the first caller decides it.
pub(super) fn hold(pid: u32, signal: Signal, scratch: Option<&Path>) -> Result<()> {
    let name = signal.as_str().trim_start_matches("SIG");
    let mut leash = LEASH.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
    if leash.is_none() {
        *leash = Some(Leash::start(scratch)?);
    }
    let orders = &mut leash.as_mut().context("the guard was started above")?.orders;
    writeln!(orders, "hold {pid} {name}").context("the guard process is gone")
}

/// Forgets process `pid`; call it right after its end was waited for.
pub(super) fn free(pid: u32) {
    let mut leash = LEASH.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(leash) = leash.as_mut()
        && writeln!(leash.orders, "free {pid}").is_err()
    {
        eprintln!("the guard process {} is gone", leash.guard.id());
    }
}

impl Leash {
    fn start(scratch: Option<&Path>) -> Result<Self> {
        let mut guard = Command::new("/bin/sh")
            .args(["-c", SCRIPT, "tiris-leash"])
            .arg(scratch.unwrap_or(Path::new("")))
            .arg(PATIENCE_TENTHS)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .context("cannot start the guard process /bin/sh")?;
        let orders = guard.stdin.take().context("the guard has no input")?;
        Ok(Self { guard, orders })
    }
}
