//! The command line of `tiris-ingest`.

use crate::command::dlq::{self, DlqArgs};
use crate::demo::{self, DemoArgs};
use crate::settings::RunArgs;
use crate::worker;
use tiris_shared::shutdown;

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
    /// Trade like a bot and publish what a bot would, to see the whole system work
    Demo(Box<DemoArgs>),
    /// List, show, replay and discard dead letters: events that could not be applied
    Dlq(Box<DlqArgs>),
}

impl Cli {
    /// Does what the command line asks for.
    pub async fn run(self) -> anyhow::Result<()> {
        let stop = shutdown::on_signals()?;
        match self.command {
            Command::Run(args) => worker::run(args.check()?, stop).await,
            Command::Demo(args) => demo::run(*args, stop).await,
            // Each of its steps is a transaction, so Ctrl-C may end it anywhere.
            Command::Dlq(args) => tokio::select! {
                () = stop.cancelled() => anyhow::bail!("stopped; what was done before stays done"),
                done = dlq::run(*args) => done,
            },
        }
    }
}
