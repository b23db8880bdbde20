//! `tiris-dev run`: the stack in a terminal, with a bot and the balances it makes.
//!
//! Owns: what a person sees and the end by Ctrl-C. Must not know: how parts are started.

use crate::environment::Environment;
use crate::folder::Folder;
use crate::install::{self, Extra};
use crate::lock::{self, Mode};
use crate::people::DEMO_EMAIL;
use crate::say::say;
use crate::services::{bot, stop_process};
use crate::sign_in::SignIn;
use crate::signals::Signals;
use crate::stack::Stack;
use crate::{live, provider};
use anyhow::{Result, anyhow, bail};
use std::time::Duration;
use tiris_testing::Process;

/// How often the parts are looked at.
const WATCH_INTERVAL: Duration = Duration::from_millis(250);

/// Runs until a signal or until a part dies, which is an error.
pub(crate) async fn run(sign_in: SignIn) -> Result<()> {
    let folder = Folder::open()?;
    install::run(Extra::of(sign_in))?;
    let mut signals = Signals::listen()?;

    match lock::take(&folder, Mode::Foreground).await? {
        None => lead(&folder, sign_in, &mut signals).await,
        Some(leader) if leader.mode == Mode::Background => {
            join(&folder, sign_in, &mut signals).await
        }
        Some(leader) => {
            bail!(
                "the stack already runs, led by process {}: stop it there or by `make down`",
                leader.pid
            )
        }
    }
}

async fn lead(folder: &Folder, sign_in: SignIn, signals: &mut Signals) -> Result<()> {
    say!("Starting in {}", folder.path().display());
    let mut stack = Stack::new(folder, sign_in)?;
    let mut demo = None;
    let outcome = tokio::select! {
        outcome = work(folder, &mut stack, &mut demo) => outcome,
        () = signals.next() => Ok(()),
    };
    say!("\nStopping; the data stays.");
    let stopped = tokio::select! {
        stopped = stop(&mut stack, demo) => stopped,
        () = signals.next() => Err(anyhow!("stopped by force at the second signal")),
    };
    outcome.and(stopped)
}

/// Shows a stack of the background at work; it stays when we end.
async fn join(folder: &Folder, sign_in: SignIn, signals: &mut Signals) -> Result<()> {
    let Some(environment) = Environment::read(folder)? else {
        bail!(
            "the stack is starting in the background: try again when it is ready (`make up` waits for it)"
        );
    };

    provider::check(sign_in, &environment)?;
    say!("The stack runs in the background; this adds the bot. `make down` stops it.");
    let mut demo = None;
    let outcome = tokio::select! {
        outcome = show(folder, &environment, &mut demo, None) => outcome,
        () = signals.next() => Ok(()),
    };
    let stopped = stop_bot(demo).await;
    say!("The bot stopped; the stack goes on.");

    outcome.and(stopped)
}

async fn work(folder: &Folder, stack: &mut Stack, demo: &mut Option<Process>) -> Result<()> {
    let environment = stack.start().await?;
    show(folder, &environment, demo, Some(stack)).await
}

/// Starts the bot and shows balances until something dies.
async fn show(
    folder: &Folder,
    environment: &Environment,
    demo: &mut Option<Process>,
    mut stack: Option<&mut Stack>,
) -> Result<()> {
    say!("{}", summary(folder, environment));
    let bot = demo.insert(bot(folder, environment)?);
    let watch = async {
        loop {
            if let Some(stack) = &mut stack
                && let Some(part) = stack.dead()
            {
                bail!("{}", stack.obituary(part));
            }
            if let Some(status) = bot.exit_status()? {
                bail!(
                    "{} ended: {status}; its log:\n{}",
                    bot.name(),
                    bot.log_tail().trim_end()
                );
            }
            tokio::time::sleep(WATCH_INTERVAL).await;
        }
    };

    tokio::select! {
        died = watch => died,
        closed = live::show(environment) => closed,
    }
}

async fn stop(stack: &mut Stack, demo: Option<Process>) -> Result<()> {
    let bot = stop_bot(demo).await;
    let stack = stack.stop().await;
    bot.and(stack)
}

async fn stop_bot(demo: Option<Process>) -> Result<()> {
    match demo {
        Some(bot) => stop_process(bot).await,
        None => Ok(()),
    }
}

/// Where everything is, for a person.
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
