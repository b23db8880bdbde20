//! The command line of `tiris-ingest`: the worker, and the commands of an operator.

/// Prints a line. Unlike `println!`, it returns an error instead of panicking when the reader has closed the pipe.
macro_rules! say {
    ($($text:tt)*) => {
        std::io::Write::write_fmt(&mut std::io::stdout(), format_args!("{}\n", format_args!($($text)*)))?
    };
}

mod audit;
mod connect;
mod dlq;
mod lanes;
mod replay;
mod status;
mod terminal;

use crate::settings::{ADMIN_LISTEN_DEFAULT, RunArgs};
use crate::worker;
use anyhow::Context;
use dlq::DlqArgs;
use lanes::LanesArgs;
use replay::ReplayArgs;
use status::StatusArgs;
use std::process::ExitCode;
use tiris_runtime::probe::HealthArgs;
use tiris_runtime::shutdown;
use tokio_util::sync::CancellationToken;

/// Turn the events of trading bots into balances: read NATS JetStream and write PostgreSQL, exactly once and in order.
#[derive(clap::Parser, Debug)]
#[command(name = "tiris-ingest", version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand, Debug)]
enum Command {
    /// Run the worker until SIGTERM or Ctrl-C; it finishes the current batches first
    Run(Box<RunArgs>),
    /// Show the limits of the streams, and owner, lag, last commit and dead letters of the lanes; exit with 2 when a lane does
    /// not run
    Status(Box<StatusArgs>),
    /// Compare the cursors of the lanes with the streams, and let halted lanes continue
    Lanes(Box<LanesArgs>),
    /// List, show, replay and discard dead letters: events that could not be applied
    Dlq(Box<DlqArgs>),
    /// Replay a time range: apply missing and dead events, skip events that were applied or discarded
    Replay(Box<ReplayArgs>),
    /// Check the worker on this machine; exit with 1 when it is not ready
    Health(HealthArgs),
}

impl Cli {
    /// Runs the command.
    ///
    /// # Errors
    /// The command fails.
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        let stop = shutdown::on_signals()?;
        match self.command {
            Command::Run(args) => worker::run(args.check()?, stop).await?,
            Command::Status(args) => return status::run(*args, stop).await,
            Command::Lanes(args) => until(&stop, lanes::run(*args)).await?,
            Command::Replay(args) => replay::run(*args, stop).await?,
            Command::Dlq(args) => until(&stop, dlq::run(*args)).await?,
            Command::Health(args) => args.check(ADMIN_LISTEN_DEFAULT, "INGEST_ADMIN_URL").await?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Runs `work` until Ctrl-C, which may interrupt it anywhere: each of its steps is a transaction.
async fn until(
    stop: &CancellationToken,
    work: impl Future<Output = anyhow::Result<()>>,
) -> anyhow::Result<()> {
    let done = stop.run_until_cancelled(work).await;
    done.context("interrupted; changes that were already committed remain")?
}
