//! `tiris-bench`: measures the speed of the system beside the best its parts can do in the same run.
//!
//! Owns: the command line, the order of scenarios, the exit code. Must not know: how a scenario measures.

mod environment;
mod figure;
mod limit;
mod pgbench;
mod publish;
mod report;
mod scenario;
mod site;
mod sizes;
mod stage;
mod statement;
mod stored;
mod traders;
mod worker;
mod wrk;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand, ValueEnum};
use report::Report;
use scenario::Scenario;
use site::Bench;
use sizes::SizeArgs;
use stage::Stage;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;
use tiris_runtime::shutdown;
use tiris_testing::{View, dev_dir};
use tiris_tools::exit_code;

/// Measures Tiris Backend beside its limits
///
/// Starts a private PostgreSQL, durable as in production, and private NATS servers, runs the programs of this build, and
/// compares them with the targets. Each figure is measured several times, in turn with its limit: the rate at which this
/// PostgreSQL handles the same rows without the system around it. The books are checked after every measurement. Events
/// come from another process, requests from wrk. Nothing else should run on the machine meanwhile.
///
/// Exit code: 0 everything was measured, 1 a scenario failed or its result was wrong, 2 wrong usage. A missed target is
/// reported and is not a failure.
#[derive(Parser, Debug)]
#[command(name = "tiris-bench", version)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    /// Scenarios to run, separated by commas [default: all]
    #[arg(long, env = "BENCH", value_enum, value_name = "NAMES")]
    #[arg(value_delimiter = ',', ignore_case = true)]
    only: Vec<Scenario>,
    #[command(flatten)]
    sizes: SizeArgs,
    /// Write the figures to this JSON file and the curves beside it, as SVG [default: bench/bench.json in the development folder]
    #[arg(long, env = "BENCH_REPORT", value_name = "FILE")]
    report: Option<PathBuf>,
    /// Compare with the report of an earlier run
    #[arg(long, env = "BENCH_COMPARE", value_name = "FILE")]
    compare: Option<PathBuf>,
    /// Print a line for every step
    #[arg(long, short)]
    verbose: bool,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Print the table of a report and draw its curves
    Show {
        /// The JSON file
        file: PathBuf,
        /// Print only the table, as Markdown
        #[arg(long)]
        markdown: bool,
    },
    /// Publish events for a scenario
    #[command(hide = true)]
    Publish {
        /// The events, as JSON
        events: String,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    tiris_runtime::tls::choose_provider();
    let cli = Cli::parse();
    let outcome = match &cli.command {
        Some(Command::Publish { events }) => publish::run(events).await.map(|()| true),
        Some(Command::Show { file, markdown }) => show(&cli, file, *markdown),
        None => run(&cli).await,
    };
    exit_code("tiris-bench", outcome)
}

async fn run(cli: &Cli) -> Result<bool> {
    let stop = shutdown::on_signals()?;
    let view = View::new(cli.verbose);
    let file = match &cli.report {
        Some(file) => file.clone(),
        None => dev_dir()?.join("bench/bench.json"),
    };
    // Read before the run, which may overwrite it.
    let earlier = cli.compare.as_deref().map(Report::read).transpose()?;

    view.phase("starting PostgreSQL", 0);
    let bench = Bench {
        stage: Stage::start(&[]).await?,
        sizes: cli.sizes.sizes(),
        view,
        stop,
    };
    let report = measure(&bench, &cli.only, &file).await?;

    bench.view.end();
    print(&report, earlier.as_ref());
    println!("{}", file.display());
    Ok(report.failures.is_empty())
}

fn show(cli: &Cli, file: &Path, markdown: bool) -> Result<bool> {
    let report = Report::read(file)?;
    if markdown {
        println!("{}", report.markdown());
        return Ok(true);
    }

    let earlier = cli.compare.as_deref().map(Report::read).transpose()?;
    report.draw_curves(file)?;
    print(&report, earlier.as_ref());
    Ok(report.failures.is_empty())
}

fn print(report: &Report, earlier: Option<&Report>) {
    println!("{report}");
    if let Some(earlier) = earlier {
        println!("{}", report.compared_with(earlier));
    }
}

/// Runs the scenarios in `only`, or all when it is empty.
async fn measure(bench: &Bench, only: &[Scenario], file: &Path) -> Result<Report> {
    let begun = Instant::now();
    let mut report = Report {
        environment: environment::describe(&bench.stage).await?,
        sizes: bench.sizes,
        ..Report::default()
    };

    let wanted = |scenario: &&Scenario| only.is_empty() || only.contains(scenario);
    for scenario in Scenario::value_variants().iter().filter(wanted) {
        let name = scenario.to_possible_value().context("a hidden scenario")?;
        let name = name.get_name();
        let started = Instant::now();
        match scenario.run(bench).await {
            Ok(outcome) => {
                let seconds = started.elapsed().as_secs();
                bench.view.say(&format!("{name}: measured in {seconds} s"));
                report.add(name, outcome);
            }
            Err(error) => {
                let failure = format!("{error:#}");
                bench.view.say(&format!("{name}: FAILED: {failure}"));
                report.failures.insert(name.to_owned(), failure);
            }
        }

        report.seconds = begun.elapsed().as_secs();
        // After each scenario, so that its figures survive the failure of a later one.
        report.write(file)?;
        report.draw_curves(file)?;
        if bench.stop.is_cancelled() {
            break;
        }
    }
    Ok(report)
}
