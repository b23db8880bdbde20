//! `tiris-dev up`, `down`, `clean-data`, `status`: the stack in the background.
//!
//! Owns: starting a leader of its own, waiting for it, reviving parts that die, ending it. Must not know: how parts
//! are started.

use crate::environment::Environment;
use crate::folder::Folder;
use crate::foreground::summary;
use crate::install::{self, Extra};
use crate::lock::{self, Mode};
use crate::provider;
use crate::say::say;
use crate::sign_in::SignIn;
use crate::signals::Signals;
use crate::stack::Stack;
use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, setsid};
use std::fs::File;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tokio::time::Instant;

/// All limits of the parts together, with room.
const START_LIMIT: Duration = Duration::from_secs(900);
/// All limits of an orderly end together.
const STOP_LIMIT: Duration = Duration::from_secs(240);
const WATCH_INTERVAL: Duration = Duration::from_millis(250);
/// A part that died is started again after this time.
const REVIVE_PAUSE: Duration = Duration::from_secs(1);
/// More deaths than [`DEATHS`] within this time mean that reviving does not help.
const DEATHS_WINDOW: Duration = Duration::from_secs(60);
const DEATHS: usize = 20;

/// Starts the stack and waits until it is ready. One that runs already is left alone.
pub(crate) async fn up(sign_in: SignIn) -> Result<()> {
    let folder = Folder::open()?;
    install::run(Extra::of(sign_in))?;
    let mut signals = Signals::listen()?;
    if lock::leader(&folder)?.is_some() {
        say!("The stack runs already.");
        return wait_for_other(&folder, sign_in).await;
    }

    say!("Starting in {}", folder.path().display());
    let mut leader = start_leader(&folder, sign_in)?;
    let outcome = tokio::select! {
        outcome = wait_for(&folder, &mut leader) => outcome,
        () = signals.next() => {
            let pid = i32::try_from(leader.id()).context("process number out of range")?;
            kill(Pid::from_raw(pid), Signal::SIGTERM)?;
            let status = tokio::task::spawn_blocking(move || leader.wait()).await??;
            bail!("given up before it was ready ({status})");
        }
    };
    say!("{}\n  `make down` stops it.", summary(&folder, &outcome?));

    Ok(())
}

fn start_leader(folder: &Folder, sign_in: SignIn) -> Result<Child> {
    let log =
        File::create(folder.log("stack")).context("cannot write the log file of the stack")?;
    let program = std::env::current_exe().context("where is this program?")?;
    let mut command = Command::new(program);
    command.arg("supervise").args(sign_in.as_flag());
    command
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .context("cannot start the leader of the stack")
}

async fn wait_for(folder: &Folder, leader: &mut Child) -> Result<Environment> {
    let deadline = Instant::now() + START_LIMIT;
    while Instant::now() < deadline {
        if let Some(status) = leader.try_wait()? {
            let log = std::fs::read_to_string(folder.log("stack")).unwrap_or_default();
            bail!("the stack did not start ({status}):\n{}", log.trim_end());
        }
        // A file of an earlier stack is gone once the lock is taken and signed by this one.
        let ours = lock::leader(folder)
            .ok()
            .flatten()
            .is_some_and(|other| other.pid.as_raw().unsigned_abs() == leader.id());
        if let Some(environment) = Environment::read(folder)?.filter(|_| ours) {
            return Ok(environment);
        }
        tokio::time::sleep(WATCH_INTERVAL).await;
    }

    bail!(
        "not ready within {} s: see {}",
        START_LIMIT.as_secs(),
        folder.log("stack").display()
    )
}

async fn wait_for_other(folder: &Folder, sign_in: SignIn) -> Result<()> {
    let deadline = Instant::now() + START_LIMIT;
    while Instant::now() < deadline {
        if let Some(environment) = Environment::read(folder)? {
            provider::check(sign_in, &environment)?;
            say!("{}", summary(folder, &environment));
            return Ok(());
        }
        if lock::leader(folder)?.is_none() {
            bail!(
                "it ended before it was ready: see {}",
                folder.log("stack").display()
            );
        }
        tokio::time::sleep(WATCH_INTERVAL).await;
    }

    bail!("not ready within {} s", START_LIMIT.as_secs())
}

/// Leads the stack until a signal comes, reviving what dies.
pub(crate) async fn supervise(sign_in: SignIn) -> Result<()> {
    // Away from the terminal that started us; a leader of a process group already is.
    setsid().ok();
    let folder = Folder::open()?;
    let mut signals = Signals::listen()?;
    if let Some(leader) = lock::take(&folder, Mode::Background).await? {
        bail!("the stack already runs, led by process {}", leader.pid);
    }
    let mut stack = Stack::new(&folder, sign_in)?;
    let outcome = tokio::select! {
        outcome = lead(&mut stack) => outcome,
        () = signals.next() => Ok(()),
    };
    say!("stopping");

    outcome.and(stack.stop().await)
}

async fn lead(stack: &mut Stack) -> Result<()> {
    stack.start().await?;
    say!("ready");
    let mut deaths = Vec::new();
    loop {
        tokio::time::sleep(WATCH_INTERVAL).await;
        let Some(part) = stack.dead() else { continue };
        eprintln!("{}", stack.obituary(part));
        deaths.push(Instant::now());
        deaths.retain(|death: &Instant| death.elapsed() <= DEATHS_WINDOW);
        let seconds = DEATHS_WINDOW.as_secs();
        ensure!(
            deaths.len() <= DEATHS,
            "{} deaths within {seconds} s",
            deaths.len()
        );

        tokio::time::sleep(REVIVE_PAUSE).await;
        match stack.revive(part).await {
            Ok(()) => say!("started {part:?} again"),
            Err(error) => eprintln!("{part:?} did not start: {error:#}"),
        }
    }
}

/// Stops the running stack, whoever started it.
pub(crate) async fn down() -> Result<()> {
    let folder = Folder::open()?;
    if lock::stop(&folder, STOP_LIMIT).await? {
        say!("Stopped; the data stays.");
    } else {
        say!("Nothing runs.");
    }
    Ok(())
}

/// Stops the running stack and removes its data.
pub(crate) async fn clean_data() -> Result<()> {
    let folder = Folder::open()?;
    lock::stop(&folder, STOP_LIMIT).await?;
    folder.forget()?;
    say!("Forgot all data in {}.", folder.path().display());
    Ok(())
}

/// Says what runs.
pub(crate) fn status() -> Result<()> {
    let folder = Folder::open()?;
    match (lock::leader(&folder)?, Environment::read(&folder)?) {
        (None, _) => say!("Nothing runs."),
        (Some(leader), None) => say!("Starting or stopping, led by process {}.", leader.pid),
        (Some(leader), Some(environment)) => {
            say!(
                "Running, led by process {}.\n{}",
                leader.pid,
                summary(&folder, &environment)
            );
        }
    }
    Ok(())
}
