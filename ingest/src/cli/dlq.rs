//! `tiris-ingest dlq`: lists, shows, replays and discards dead letters.

mod act;
mod show;

use anyhow::ensure;
use chrono::{DateTime, Utc};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use tiris_domain::states::{DeadLetterClass, DeadLetterStatus, State};
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
    /// Show a dead letter with its headers and payload
    Show(ShowArgs),
    /// Apply dead letters in stream order; with --dry-run only show the effect on the balances
    Replay(ReplayArgs),
    /// Discard dead letters for good: their events count as processed and change nothing
    Discard(DiscardArgs),
}

#[derive(clap::Args, Debug)]
struct ListArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    filter: FilterArgs,
    /// Status of the dead letters
    #[arg(long, default_value = "open", value_parser = PossibleValuesParser::new(["open", "replayed", "discarded", "all"]))]
    status: String,
    /// Maximum number of dead letters (1 to 10000)
    #[arg(long, default_value = "50", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
    /// Print JSON, one dead letter per line
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args, Debug)]
struct ShowArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    /// Id of the dead letter
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
    /// Show the effect without changing anything
    #[arg(long)]
    dry_run: bool,
    /// User whose books a single dead letter of code SUBJECT_MISMATCH may change, although another user published it
    #[arg(long, value_name = "ID", conflicts_with = "all")]
    accept_user: Option<Uuid>,
    /// Skip the confirmation
    #[arg(long)]
    yes: bool,
}

#[derive(clap::Args, Debug)]
struct DiscardArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    target: TargetArgs,
    /// Reason, stored with each dead letter (1 to 500 characters)
    #[arg(long)]
    reason: String,
    /// Skip the confirmation
    #[arg(long)]
    yes: bool,
}

/// Named dead letters, or all open ones that a filter selects.
#[derive(clap::Args, Debug)]
struct TargetArgs {
    /// Ids of dead letters
    #[arg(value_name = "ID", conflicts_with = "all")]
    ids: Vec<Uuid>,
    /// All open dead letters, or those that the filter options select
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    filter: FilterArgs,
}

#[derive(clap::Args, Debug)]
struct FilterArgs {
    /// Only this class
    #[arg(long, value_parser = PossibleValuesParser::new(DeadLetterClass::NAMES).try_map(DeadLetterClass::try_from))]
    class: Option<DeadLetterClass>,
    /// Only this code, such as INSUFFICIENT_BALANCE
    #[arg(long)]
    code: Option<String>,
    /// Only this user
    #[arg(long, value_name = "ID")]
    user: Option<Uuid>,
    /// Only this trading
    #[arg(long, value_name = "ID")]
    trading: Option<Uuid>,
    /// Only this stream
    #[arg(long, value_parser = PossibleValuesParser::new(["TRADING", "TRADING_SYSTEM"]))]
    stream: Option<String>,
    /// Only this lane
    #[arg(long)]
    lane: Option<i32>,
    /// Only dead letters created at this time or later (RFC 3339)
    #[arg(long, value_name = "TIME")]
    from: Option<DateTime<Utc>>,
    /// Only dead letters created before this time (RFC 3339)
    #[arg(long, value_name = "TIME")]
    until: Option<DateTime<Utc>>,
}

impl FilterArgs {
    fn filter(&self, status: Option<DeadLetterStatus>) -> Filter {
        Filter {
            owner: None,
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
    /// Returns the filter of `--all`; None when dead letters are named by their ids.
    fn selection(&self) -> anyhow::Result<Option<Filter>> {
        if self.all {
            return Ok(Some(self.filter.filter(Some(DeadLetterStatus::Open))));
        }
        ensure!(
            !self.ids.is_empty(),
            "name dead letters by their ids, or add --all"
        );
        let is_filtered = self.filter.filter(None) != Filter::default();
        ensure!(!is_filtered, "filter options require --all");
        Ok(None)
    }
}

/// Runs the command.
pub(super) async fn run(args: DlqArgs) -> anyhow::Result<()> {
    match args.command {
        Command::List(args) => show::list(&args).await,
        Command::Show(args) => show::one(&args).await,
        Command::Replay(args) => act::replay(&args).await,
        Command::Discard(args) => act::discard(&args).await,
    }
}
