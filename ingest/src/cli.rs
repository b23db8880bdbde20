//! The command line of `tiris-ingest`: the worker, and the commands of an operator, of which each does one thing and ends.

/// Prints a line; a reader that has gone away is an error, which ends the command, and no panic.
macro_rules! say {
    ($($text:tt)*) => {
        std::io::Write::write_fmt(&mut std::io::stdout(), format_args!("{}\n", format_args!($($text)*)))?
    };
}

mod audit;
mod confirm;
mod dlq;
mod lanes;
mod parts;
mod replay;
mod status;
mod table;

use crate::settings::{ADMIN_LISTEN_DEFAULT, RunArgs};
use crate::worker;
use dlq::DlqArgs;
use lanes::LanesArgs;
use replay::ReplayArgs;
use status::StatusArgs;
use std::process::ExitCode;
use tiris_runtime::probe::HealthArgs;
use tiris_runtime::shutdown;
use tokio_util::sync::CancellationToken;

/// Turns the bots' events into balances: reads NATS JetStream, writes PostgreSQL, exactly once and in order.
#[derive(clap::Parser, Debug)]
#[command(name = "tiris-ingest", version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand, Debug)]
enum Command {
    /// Run the worker until SIGTERM or Ctrl-C; it finishes its batches first
    Run(Box<RunArgs>),
    /// Show how every lane is: owner, lag, last commit, dead letters; exit code 2 when a lane does not run
    Status(StatusArgs),
    /// Show whether cursors and streams belong together, and let a halted lane go on
    Lanes(Box<LanesArgs>),
    /// List, show, replay and discard dead letters: events that could not be applied
    Dlq(Box<DlqArgs>),
    /// Read a range of time again: what is missing or dead is applied, what is done is passed over
    Replay(Box<ReplayArgs>),
    /// Ask the worker that runs on this machine how it is; exit code 1 when it is not ready
    Health(HealthArgs),
}

impl Cli {
    /// Runs the command.
    ///
    /// # Errors
    /// What the command fails with.
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        let stop = shutdown::on_signals()?;
        match self.command {
            Command::Run(args) => worker::run(args.check()?, stop).await?,
            Command::Status(args) => return status::run(args, stop).await,
            Command::Lanes(args) => until(&stop, lanes::run(*args)).await?,
            Command::Replay(args) => replay::run(*args, stop).await?,
            Command::Dlq(args) => until(&stop, dlq::run(*args)).await?,
            Command::Health(args) => args.check(ADMIN_LISTEN_DEFAULT).await?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Each step of `work` is a transaction, so Ctrl-C may end it anywhere.
async fn until(
    stop: &CancellationToken,
    work: impl Future<Output = anyhow::Result<()>>,
) -> anyhow::Result<()> {
    tokio::select! {
        () = stop.cancelled() => anyhow::bail!("stopped; what was done before stays done"),
        done = work => done,
    }
}
