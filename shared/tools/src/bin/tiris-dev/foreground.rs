//! `tiris-dev run`: the stack in a terminal, with a bot and its balances, until Ctrl-C.

use crate::database::DEMO_EMAIL;
use crate::environment::Environment;
use crate::folder::Folder;
use crate::lock::{self, Mode};
use crate::processes::{bot, stop_process};
use crate::signals::Signals;
use crate::stack::Stack;
use crate::{install, live, provider};
use anyhow::{Context, Result, anyhow, bail};
use std::time::Duration;
use tiris_testing::Process;

/// Pause between two checks of the parts.
const WATCH_INTERVAL: Duration = Duration::from_millis(250);

/// Runs until a signal, or until a part ends, which is an error.
pub(crate) async fn run(login: bool) -> Result<()> {
    let folder = Folder::open()?;
    install::servers(login)?;
    let mut signals = Signals::listen()?;

    match lock::take(&folder, Mode::Foreground).await? {
        None => lead(&folder, login, &mut signals).await,
        Some(leader) if leader.mode == Mode::Background => join(&folder, login, &mut signals).await,
        Some(leader) => bail!(
            "the stack is already running, led by process {}: stop it there or with `make down`",
            leader.pid
        ),
    }
}

async fn lead(folder: &Folder, login: bool, signals: &mut Signals) -> Result<()> {
    say!("Starting in {}", folder.path().display());
    let mut stack = Stack::new(folder, login)?;
    let mut bot = None;
    let work = async {
        let environment = stack.start().await?;
        show(folder, &environment, &mut bot, Some(&mut stack)).await
    };
    let outcome = tokio::select! {
        outcome = work => outcome,
        () = signals.next() => Ok(()),
    };

    say!("\nStopping; the data stays.");
    let stop = async {
        let bot = stop_process(bot).await;
        bot.and(stack.stop().await)
    };
    let stopped = tokio::select! {
        stopped = stop => stopped,
        () = signals.next() => Err(anyhow!("stopped by force at the second signal")),
    };
    outcome.and(stopped)
}

/// Adds a bot to a stack in the background, which stays when we end.
async fn join(folder: &Folder, login: bool, signals: &mut Signals) -> Result<()> {
    let environment = Environment::read(folder)?.context(
        "the stack is starting in the background: try again when it is ready (`make up` waits for it)",
    )?;
    provider::check(login, &environment)?;
    say!("The stack is running in the background; this adds the bot. `make down` stops it.");

    let mut bot = None;
    let outcome = tokio::select! {
        outcome = show(folder, &environment, &mut bot, None) => outcome,
        () = signals.next() => Ok(()),
    };
    let stopped = stop_process(bot).await;
    say!("The bot stopped; the stack keeps running.");
    outcome.and(stopped)
}

/// Starts the bot and shows balances until a part ends.
async fn show(
    folder: &Folder,
    environment: &Environment,
    slot: &mut Option<Process>,
    mut stack: Option<&mut Stack>,
) -> Result<()> {
    say!("{}", summary(folder, environment));
    let bot = slot.insert(bot(folder, environment)?);
    let watch = async {
        loop {
            if let Some(stack) = &mut stack
                && let Some(part) = stack.ended_part()
            {
                bail!("{}", stack.describe_end(part));
            }
            if let Some(status) = bot.exit_status()? {
                let log = bot.log_tail();
                bail!(
                    "{} ended: {status}; its log:\n{}",
                    bot.name(),
                    log.trim_end()
                );
            }
            tokio::time::sleep(WATCH_INTERVAL).await;
        }
    };

    tokio::select! {
        ended = watch => ended,
        closed = live::show(environment) => closed,
    }
}

/// Returns all addresses for a user.
pub(crate) fn summary(folder: &Folder, environment: &Environment) -> String {
    let api = environment.get("API_URL");
    let dir = folder.path().display();
    format!(
        "\n  Swagger UI     {api}/docs\n  Database       {}\n  NATS           {}\n  Logs           {dir}/log\n  \
         Variables      {dir}/env   (set -a; . {dir}/env)\n\n  \
         Token of {DEMO_EMAIL}, to paste into \"Authorize\":\n\n{}\n{}",
        environment.get("DATABASE_URL"),
        environment.get("NATS_URL"),
        environment.get("TOKEN"),
        provider::instructions(environment),
    )
}
