//! `tiris-dev up`, `down`, `clean-data`, `status`: the stack in the background.

use crate::environment::Environment;
use crate::folder::Folder;
use crate::foreground::summary;
use crate::install;
use crate::lock::{self, Mode};
use crate::provider;
use crate::signals::Signals;
use crate::stack::Stack;
use anyhow::{Context, Result, bail, ensure};
use nix::unistd::setsid;
use std::fs::File;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tokio::time::Instant;

/// More than all limits of the parts together.
const START_LIMIT: Duration = Duration::from_secs(900);
/// More than all limits of an orderly end together.
const STOP_LIMIT: Duration = Duration::from_secs(240);
const WATCH_INTERVAL: Duration = Duration::from_millis(250);
/// A part that ended is started again after this time.
const RESTART_PAUSE: Duration = Duration::from_secs(1);
/// More ends than [`ENDS_MAX`] within this time mean that a restart does not help.
const ENDS_WINDOW: Duration = Duration::from_secs(60);
const ENDS_MAX: usize = 20;

/// Starts the stack and waits until it is ready; leaves a running one alone.
pub(crate) async fn up(login: bool) -> Result<()> {
    let folder = Folder::open()?;
    install::servers(login)?;
    let mut signals = Signals::listen()?;
    if lock::leader(&folder)?.is_some() {
        say!("The stack is already running.");
        let environment = wait_until_ready(&folder, None).await?;
        provider::check(login, &environment)?;
        say!("{}", summary(&folder, &environment));
        return Ok(());
    }

    say!("Starting in {}", folder.path().display());
    // A stack that was killed may have left its file.
    Environment::remove(&folder)?;
    let mut child = start_leader(&folder, login)?;
    let environment = tokio::select! {
        environment = wait_until_ready(&folder, Some(&mut child)) => environment?,
        () = signals.next() => {
            lock::terminate(child.id())?;
            let status = tokio::task::spawn_blocking(move || child.wait()).await??;
            bail!("interrupted before it was ready ({status})");
        }
    };
    say!(
        "{}\n  `make down` stops it.",
        summary(&folder, &environment)
    );
    Ok(())
}

fn start_leader(folder: &Folder, login: bool) -> Result<Child> {
    let log =
        File::create(folder.log("stack")).context("cannot write the log file of the stack")?;
    let program = std::env::current_exe().context("cannot find this program")?;
    Command::new(program)
        .arg("supervise")
        .args(login.then_some("--login"))
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .context("cannot start the leader of the stack")
}

/// Waits for the environment file of the running stack, whose leader may be a child of ours.
async fn wait_until_ready(folder: &Folder, mut child: Option<&mut Child>) -> Result<Environment> {
    let log = folder.log("stack");
    let deadline = Instant::now() + START_LIMIT;
    while Instant::now() < deadline {
        if let Some(child) = &mut child
            && let Some(status) = child.try_wait()?
        {
            let log = std::fs::read_to_string(log).unwrap_or_default();
            bail!("the stack did not start ({status}):\n{}", log.trim_end());
        }
        if let Some(environment) = Environment::read(folder)? {
            return Ok(environment);
        }
        ensure!(
            child.is_some() || lock::leader(folder)?.is_some(),
            "it ended before it was ready: see {}",
            log.display()
        );
        tokio::time::sleep(WATCH_INTERVAL).await;
    }

    let seconds = START_LIMIT.as_secs();
    bail!("not ready within {seconds} s: see {}", log.display())
}

/// Leads the stack until a signal, and starts parts again that end.
pub(crate) async fn supervise(login: bool) -> Result<()> {
    // Leaves the terminal that started us; fails only for the leader of a process group, which has left it.
    setsid().ok();
    let folder = Folder::open()?;
    let mut signals = Signals::listen()?;
    if let Some(leader) = lock::take(&folder, Mode::Background).await? {
        bail!(
            "the stack is already running, led by process {}",
            leader.pid
        );
    }

    let mut stack = Stack::new(&folder, login)?;
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
    let mut ends: Vec<Instant> = Vec::new();
    loop {
        tokio::time::sleep(WATCH_INTERVAL).await;
        let Some(part) = stack.ended_part() else {
            continue;
        };
        eprintln!("{}", stack.describe_end(part));
        ends.push(Instant::now());
        ends.retain(|end| end.elapsed() <= ENDS_WINDOW);
        ensure!(
            ends.len() <= ENDS_MAX,
            "parts ended {} times within {} s",
            ends.len(),
            ENDS_WINDOW.as_secs()
        );

        tokio::time::sleep(RESTART_PAUSE).await;
        match stack.restart(part).await {
            Ok(()) => say!("started {part:?} again"),
            Err(error) => eprintln!("{part:?} did not start: {error:#}"),
        }
    }
}

/// Stops the running stack, in the foreground or in the background.
pub(crate) async fn down() -> Result<()> {
    let folder = Folder::open()?;
    if lock::stop(&folder, STOP_LIMIT).await? {
        say!("Stopped; the data stays.");
    } else {
        say!("Nothing runs.");
    }
    Ok(())
}

/// Stops the running stack and deletes its data.
pub(crate) async fn clean_data() -> Result<()> {
    let folder = Folder::open()?;
    lock::stop(&folder, STOP_LIMIT).await?;
    folder.delete_data()?;
    say!("Deleted all data in {}.", folder.path().display());
    Ok(())
}

/// Prints what runs.
pub(crate) fn status() -> Result<()> {
    let folder = Folder::open()?;
    let Some(leader) = lock::leader(&folder)? else {
        say!("Nothing runs.");
        return Ok(());
    };
    let pid = leader.pid;
    match Environment::read(&folder)? {
        None => say!("Starting or stopping, led by process {pid}."),
        Some(environment) => {
            let summary = summary(&folder, &environment);
            say!("Running, led by process {pid}.\n{summary}");
        }
    }
    Ok(())
}
