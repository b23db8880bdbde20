//! `tiris-ingest dlq`: lists, shows, replays and discards dead letters.
//!
//! Owns: the arguments and the questions before a change.

mod act;
mod show;

use super::parts::pool;
use anyhow::ensure;
use chrono::{DateTime, Utc};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use tiris_domain::states::{DeadLetterClass, DeadLetterStatus};
use tiris_runtime::config::DatabaseArgs;
use tiris_store::dead_letters::Filter;
use uuid::Uuid;

/// Arguments of `tiris-ingest dlq`.
#[derive(clap::Args, Debug)]
pub(super) struct DlqArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand, Debug)]
enum Command {
    /// List dead letters, newest first
    List(ListArgs),
    /// Show one letter with its headers and payload
    Show(ShowArgs),
    /// Try letters again, in stream order; with --dry-run say what would happen to which balance, and do nothing
    Replay(ReplayArgs),
    /// Give letters up: their events count as done and change nothing
    Discard(DiscardArgs),
}

#[derive(clap::Args, Debug)]
struct ListArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    filter: FilterArgs,
    /// Letters with this status
    #[arg(long, default_value = "open", value_parser = PossibleValuesParser::new(["open", "replayed", "discarded", "all"]))]
    status: String,
    /// Letters at most (1 to 10000)
    #[arg(long, default_value = "50", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
    /// Print JSON, one letter a line
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args, Debug)]
struct ShowArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    /// The letter
    id: Uuid,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args, Debug)]
struct ReplayArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    target: TargetArgs,
    /// Only say what would happen
    #[arg(long)]
    dry_run: bool,
    /// Round amounts that move to 12 decimal places, half to even
    #[arg(long)]
    round: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

#[derive(clap::Args, Debug)]
struct DiscardArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    target: TargetArgs,
    /// Why, kept with each letter (1 to 500 characters)
    #[arg(long)]
    reason: String,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

/// Single letters, or all open ones a filter selects.
#[derive(clap::Args, Debug)]
struct TargetArgs {
    /// The letters
    #[arg(value_name = "ID", conflicts_with = "all")]
    ids: Vec<Uuid>,
    /// All open letters the filter selects
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    filter: FilterArgs,
}

#[derive(clap::Args, Debug)]
struct FilterArgs {
    /// Only of this class
    #[arg(long, value_parser = PossibleValuesParser::new(["malformed", "unresolved", "rejected"]).try_map(DeadLetterClass::try_from))]
    class: Option<DeadLetterClass>,
    /// Only with this code, such as INSUFFICIENT_BALANCE
    #[arg(long)]
    code: Option<String>,
    /// Only of this user
    #[arg(long, value_name = "ID")]
    user: Option<Uuid>,
    /// Only of this trading
    #[arg(long, value_name = "ID")]
    trading: Option<Uuid>,
    /// Only from this stream
    #[arg(long, value_parser = PossibleValuesParser::new(["TRADING", "TRADING_SYSTEM"]))]
    stream: Option<String>,
    /// Only from this lane
    #[arg(long)]
    lane: Option<i32>,
    /// Only those put aside at this moment or later (RFC 3339)
    #[arg(long, value_name = "TIME")]
    from: Option<DateTime<Utc>>,
    /// Only those put aside before this moment (RFC 3339)
    #[arg(long, value_name = "TIME")]
    until: Option<DateTime<Utc>>,
}

impl FilterArgs {
    fn filter(&self, status: Option<DeadLetterStatus>) -> Filter {
        Filter {
            status,
            class: self.class,
            code: self.code.as_ref().map(|code| code.to_uppercase()),
            user_id: self.user,
            trading_id: self.trading,
            stream: self.stream.clone(),
            lane: self.lane,
            from: self.from,
            until: self.until,
        }
    }
}

impl TargetArgs {
    /// The filter when `--all` was given, else none: the letters are named.
    fn selection(&self) -> anyhow::Result<Option<Filter>> {
        let filter = self.filter.filter(Some(DeadLetterStatus::Open));
        let unfiltered = Filter {
            status: Some(DeadLetterStatus::Open),
            ..Filter::default()
        };
        if self.all {
            return Ok(Some(filter));
        }
        ensure!(
            !self.ids.is_empty(),
            "name letters by their ids, or say --all, with or without a filter"
        );
        ensure!(filter == unfiltered, "a filter works with --all only");
        Ok(None)
    }
}

/// Runs the command.
pub(super) async fn run(args: DlqArgs) -> anyhow::Result<()> {
    match args.command {
        Command::List(args) => show::list(&pool(&args.database)?, &args).await,
        Command::Show(args) => show::one(&pool(&args.database)?, &args).await,
        Command::Replay(args) => act::replay(&pool(&args.database)?, &args).await,
        Command::Discard(args) => act::discard(&pool(&args.database)?, &args).await,
    }
}
