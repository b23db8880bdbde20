//! Our own programs as processes of the stack.

use crate::environment::{BOT_NATS_URL, Environment};
use crate::folder::Folder;
use anyhow::Result;
use nix::sys::signal::Signal;
use std::path::Path;
use std::time::Duration;
use tiris_testing::{Process, ProcessCommand, binary};

/// Longer than the services allow themselves to finish their work.
const STOP_LIMIT: Duration = Duration::from_secs(30);
/// Events a second of the demo bot: enough to see money move, slow enough to follow.
const BOT_RATE: &str = "5";

/// Starts the bot that trades for the demo user.
pub(crate) fn bot(folder: &Folder, environment: &Environment) -> Result<Process> {
    let mut command = quiet("tiris-demo", &folder.log("bot"))?
        .name("the demo bot")
        .args(["--rate", BOT_RATE]);
    for (name, value) in &environment.0 {
        command = command.env(name, value);
    }
    command
        .env("NATS_URL", environment.get(BOT_NATS_URL))
        .spawn()
}

/// Terminates a process, if there is one; kills it when it does not end in time, which is an error.
pub(crate) async fn stop_process(process: Option<Process>) -> Result<()> {
    if let Some(mut process) = process
        && let Err(late) = process.terminate(STOP_LIMIT).await
    {
        process.kill().await?;
        return Err(late);
    }
    Ok(())
}

/// Describes a program that gets SIGTERM when we are killed, and whose log only we show.
pub(crate) fn quiet(program: &str, log: &Path) -> Result<ProcessCommand> {
    let command = Process::command(binary(program)?).log(log);
    Ok(command.signal_on_exit(Signal::SIGTERM).show_log(false))
}
