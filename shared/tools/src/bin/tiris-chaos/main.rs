//! `tiris-chaos`: runs the system under load while its parts are killed, stopped and cut off, then compares the books with
//! those an independent auditor derives from the streams.
//!
//! Owns: the command line, the order of scenarios, the exit code. Must not know: what a scenario does.

mod checks;
mod faults;
mod finish;
mod keep;
mod load;
mod publishing;
mod report;
mod run;
mod scenario;
mod seed;
mod system;
mod tally;

use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};
use report::Report;
use run::Options;
use std::path::PathBuf;
use std::process::ExitCode;
use tiris_runtime::shutdown;
use tiris_testing::{View, dev_dir};
use tiris_tools::{Release, exit_code};

/// Runs Tiris Backend under load, breaks it at random, and proves that its books are right afterwards
///
/// Starts a private PostgreSQL, a private NATS server, several `tiris-ingest run` and `tiris-api`, all of this build,
/// and publishes as bots do. All randomness comes from the seed: with the same seed, events and publishers, the messages
/// are the same to the byte and faults are drawn in the same order; the moment of each fault differs.
///
/// Exit code: 0 all checks passed, 1 a check or the run failed, 2 wrong usage. After a failure the logs of all
/// processes, a dump of the database and both streams are kept, and their folder is printed.
#[derive(Parser, Debug)]
#[command(name = "tiris-chaos", version)]
struct Cli {
    /// The scenario to run
    #[arg(long, env = "CHAOS_SCENARIO", value_enum, default_value_t = Scenario::All)]
    scenario: Scenario,
    /// Seed of all randomness [default: a new one, which is printed]
    #[arg(long, env = "CHAOS_SEED", value_name = "NUMBER")]
    seed: Option<u64>,
    /// How long faults are injected; the other scenarios take as long as they need
    #[arg(long, env = "CHAOS_SECONDS", value_name = "SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u32).range(5..=86_400))]
    seconds: u32,
    /// How long the soak lasts
    #[arg(long, env = "CHAOS_SOAK_SECONDS", value_name = "SECONDS", default_value_t = 1800, value_parser = clap::value_parser!(u32).range(60..=604_800))]
    soak_seconds: u32,
    /// Events published while faults are injected [default: 100000 in 120 seconds]
    #[arg(long, env = "CHAOS_EVENTS", value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1000..))]
    events: Option<u32>,
    /// Ingest processes
    #[arg(long, env = "CHAOS_WORKERS", value_name = "COUNT", default_value_t = 4, value_parser = clap::value_parser!(u16).range(2..=16))]
    workers: u16,
    /// Folder with tiris-api, tiris-ingest and tiris-migrate of an earlier release, from which the rollout begins; an empty
    /// one is none
    #[arg(long, env = "CHAOS_OLD_BIN", value_name = "FOLDER")]
    old_bin: Option<PathBuf>,
    /// Also write the report to this file, as JSON
    #[arg(long, env = "CHAOS_REPORT", value_name = "FILE")]
    report: Option<PathBuf>,
    /// Keep logs and dumps of a failed run here [default: chaos-SEED in the development folder]
    #[arg(long, env = "CHAOS_KEEP", value_name = "FOLDER")]
    keep: Option<PathBuf>,
    /// Print a line for every fault
    #[arg(long, short)]
    verbose: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Scenario {
    /// Kills, stops and cuts about once a second under load
    Faults,
    /// Restarts every process in turn under load and REST requests
    Rolling,
    /// The schema changes under running processes, those of an earlier release if there is one, and new ones join them
    Rollout,
    /// The primary becomes read-only and a standby is promoted
    Failover,
    /// PostgreSQL slow, locked, full
    Trouble,
    /// The database is lost and restored to an earlier copy
    Restore,
    /// One worker and several side by side, and lanes that change hands under load
    Scale,
    /// One user publishes the worst events as fast as possible
    Noisy,
    /// Events, requests and live streams at an even pace, while memory and open files must stay flat; not part of `all`
    Soak,
    /// One after the other, but the soak
    All,
}

const EVENTS_PER_TWO_MINUTES: u32 = 100_000;

#[tokio::main]
async fn main() -> ExitCode {
    exit_code("tiris-chaos", run(Cli::parse()).await)
}

async fn run(cli: Cli) -> Result<bool> {
    let options = cli.options()?;
    options.view.say(&format!("seed {}", options.seed));

    let mut report = Report::new(options.seed);
    let wanted = |scenario: &&Scenario| match cli.scenario {
        Scenario::All => **scenario != Scenario::Soak,
        named => **scenario == named,
    };
    for scenario in Scenario::value_variants().iter().filter(wanted) {
        report.add(match scenario {
            Scenario::Faults => scenario::faults::run(&options).await?,
            Scenario::Rolling => scenario::rolling::run(&options).await?,
            Scenario::Rollout => scenario::rollout::run(&options).await?,
            Scenario::Failover => scenario::failover::run(&options).await?,
            Scenario::Trouble => scenario::trouble::run(&options).await?,
            Scenario::Restore => scenario::restore::run(&options).await?,
            Scenario::Scale => scenario::scale::run(&options).await?,
            Scenario::Noisy => scenario::noisy::run(&options).await?,
            Scenario::Soak => scenario::soak::run(&options).await?,
            Scenario::All => break,
        });
    }

    options.view.end();
    println!("{report}");
    if let Some(file) = &cli.report {
        let json = serde_json::to_vec_pretty(&report)?;
        std::fs::write(file, json).with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(report.passed)
}

impl Cli {
    /// Returns the release that a rollout begins with.
    fn earlier(&self) -> Result<Option<Release>> {
        let Some(folder) = &self.old_bin else {
            return Ok(None);
        };
        let mut files = std::fs::read_dir(folder)
            .with_context(|| format!("--old-bin: cannot read {}", folder.display()))?;
        let is_empty = files.next().is_none();
        (!is_empty).then(|| Release::in_folder(folder)).transpose()
    }

    fn options(&self) -> Result<Options> {
        let seed = self.seed.unwrap_or_else(rand::random);
        let keep = match &self.keep {
            Some(folder) => folder.clone(),
            None => dev_dir()?.join(format!("chaos-{seed}")),
        };

        let usual = self.seconds.saturating_mul(EVENTS_PER_TWO_MINUTES) / 120;
        Ok(Options {
            seed,
            seconds: self.seconds,
            soak_seconds: self.soak_seconds,
            events: self.events.unwrap_or(usual),
            workers: usize::from(self.workers),
            earlier: self.earlier()?,
            keep,
            stop: shutdown::on_signals()?,
            view: View::new(self.verbose),
        })
    }
}
