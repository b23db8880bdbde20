//! `tiris-bench`: how fast the system is, beside what its parts can do at best in the same run.
//!
//! Owns: the command line, the order of scenarios, the exit code. Must not know: how a scenario measures.

mod bench;
mod desks;
mod draw;
mod environment;
mod figure;
mod limit;
mod memory;
mod people;
mod pgbench;
mod publish;
mod report;
mod scenario;
mod sizes;
mod stage;
mod statement;
mod stored;
mod worker;
mod wrk;

use anyhow::{Context, Result};
use bench::Bench;
use clap::{Parser, Subcommand, ValueEnum};
use publish::Events;
use report::Report;
use scenario::Scenario;
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
/// measures what the targets ask for, each figure several times in turn with its limit: what this PostgreSQL does with the
/// same rows without the system around it. After every measurement the books are checked. Events come from another process,
/// requests from wrk. Nothing else should run on the machine meanwhile.
///
/// Exit code: 0 everything was measured, 1 a scenario failed or its result was wrong, 2 wrong usage. A target that is
/// missed is told and is no failure.
#[derive(Parser, Debug)]
#[command(name = "tiris-bench", version)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    /// What to measure, separated by commas [default: everything]
    #[arg(
        long,
        env = "BENCH",
        value_enum,
        value_delimiter = ',',
        ignore_case = true,
        value_name = "NAMES"
    )]
    only: Vec<Scenario>,
    #[command(flatten)]
    sizes: SizeArgs,
    /// Where the figures go, as JSON, and beside them the curves as SVG [default: bench/bench.json in the development folder]
    #[arg(long, env = "BENCH_REPORT", value_name = "FILE")]
    report: Option<PathBuf>,
    /// Show the figures of an earlier run beside these
    #[arg(long, env = "BENCH_COMPARE", value_name = "FILE")]
    compare: Option<PathBuf>,
    /// Print a line for every step
    #[arg(long, short)]
    verbose: bool,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Print the table of a report again, and draw its curves
    Show {
        /// The JSON
        file: PathBuf,
        /// The table alone, as Markdown
        #[arg(long)]
        markdown: bool,
    },
    /// What publishes events while a scenario runs
    #[command(hide = true)]
    Publish {
        #[arg(long)]
        nats_url: String,
        #[command(flatten)]
        events: Events,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    tiris_runtime::tls::choose_provider();
    let cli = Cli::parse();
    let outcome = match &cli.command {
        Some(Command::Publish { nats_url, events }) => {
            publish::run(nats_url, *events).await.map(|()| true)
        }
        Some(Command::Show { file, markdown }) => show(&cli, file, *markdown),
        None => run(&cli).await,
    };
    exit_code("tiris-bench", outcome)
}

async fn run(cli: &Cli) -> Result<bool> {
    let stop = shutdown::on_signals()?;
    let view = View::new(cli.verbose);
    let earlier = cli.compare.as_deref().map(Report::read).transpose()?;
    let file = match &cli.report {
        Some(file) => file.clone(),
        None => dev_dir()?.join("bench/bench.json"),
    };

    view.phase("starting PostgreSQL", 0);
    let bench = Bench {
        stage: Stage::start(&[]).await?,
        sizes: cli.sizes.sizes(),
        view,
        stop,
    };
    let report = measure(&bench, &cli.only, &file).await?;

    bench.view.end();
    println!("{report}\n{}", file.display());
    if let Some(earlier) = earlier {
        println!("{}", report.compared_with(&earlier));
    }
    Ok(report.failures.is_empty())
}

/// Runs the wanted scenarios, all when none is named.
async fn measure(bench: &Bench, only: &[Scenario], file: &Path) -> Result<Report> {
    let begun = Instant::now();
    let mut report = Report {
        environment: environment::look(&bench.stage).await?,
        sizes: bench.sizes.named(),
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
                bench.view.say(&format!("{name}: FAILED: {error:#}"));
                report
                    .failures
                    .insert(name.to_owned(), format!("{error:#}"));
            }
        }

        report.seconds = begun.elapsed().as_secs();
        // After each, so that what is measured is not lost when a later one is cut off.
        report.write(file)?;
        write_curves(&report, file)?;
        if bench.stop.is_cancelled() {
            break;
        }
    }
    Ok(report)
}

fn show(cli: &Cli, file: &Path, markdown: bool) -> Result<bool> {
    let report = Report::read(file)?;
    if markdown {
        println!("{}", report.markdown());
        return Ok(true);
    }

    write_curves(&report, file)?;
    println!("{report}");
    if let Some(earlier) = cli.compare.as_deref() {
        println!("{}", report.compared_with(&Report::read(earlier)?));
    }
    Ok(report.failures.is_empty())
}

fn write_curves(report: &Report, file: &Path) -> Result<()> {
    for curve in &report.curves {
        let drawing = file.with_file_name(format!("{}.svg", curve.name));
        std::fs::write(&drawing, draw::svg(curve)?)
            .with_context(|| format!("cannot write {}", drawing.display()))?;
    }
    Ok(())
}
