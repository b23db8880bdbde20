//! `tiris-ingest replay`: requests replays of a time range and shows their progress. A worker runs them, independently of this
//! command.

use super::audit::record;
use super::connect;
use super::terminal::{confirm, progress_bar, table, time};
use anyhow::{Context, bail, ensure};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use sqlx::PgPool;
use std::time::Duration;
use tiris_domain::event::Kind;
use tiris_domain::ids::UserId;
use tiris_domain::states::ReplayStatus;
use tiris_runtime::config::DatabaseArgs;
use tiris_store::audit::{Action, ActionName};
use tiris_store::replay_jobs::{self, Job, NewJob};
use tiris_store::status;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// How often a watched replay is read.
const WATCH_INTERVAL: Duration = Duration::from_millis(500);
/// Maximum number of replays in a list.
const LISTED_MAX: u64 = 50;

/// Arguments of `tiris-ingest replay`.
#[derive(clap::Args, Debug)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(super) struct ReplayArgs {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    database: DatabaseArgs,
    /// Only messages that the broker stored at this time or later (RFC 3339)
    #[arg(long, value_name = "TIME", required = true)]
    from: Option<DateTime<Utc>>,
    /// Only messages that the broker stored before this time (RFC 3339)
    #[arg(long, value_name = "TIME", required = true)]
    to: Option<DateTime<Utc>>,
    /// Only events of this user
    #[arg(long, value_name = "ID")]
    user: Option<Uuid>,
    /// Only events of this type, such as trading.orders.filled; can be repeated
    #[arg(long = "type", value_name = "TYPE", value_parser = kind)]
    kinds: Vec<Kind>,
    /// Do not wait for the end of the replay
    #[arg(long)]
    detach: bool,
    /// Skip the confirmation
    #[arg(long)]
    yes: bool,
}

#[derive(clap::Subcommand, Debug)]
enum Command {
    /// List the newest replays
    List(ShowArgs),
    /// Show a replay; with --watch wait for its end
    Show(OneArgs),
    /// Cancel a replay; events that it has applied remain
    Cancel(CancelArgs),
}

#[derive(clap::Args, Debug)]
struct ShowArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args, Debug)]
struct OneArgs {
    #[command(flatten)]
    shown: ShowArgs,
    /// Id of the replay
    id: Uuid,
    /// Wait for the end of the replay
    #[arg(long)]
    watch: bool,
}

#[derive(clap::Args, Debug)]
struct CancelArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    /// Id of the replay
    id: Uuid,
}

fn kind(text: &str) -> Result<Kind, String> {
    let known = || Kind::ALL.map(Kind::bare_subject).join(", ");
    Kind::of_bare_subject(text).ok_or_else(|| format!("must be one of {}", known()))
}

/// Runs the command.
pub(super) async fn run(args: ReplayArgs, stop: CancellationToken) -> anyhow::Result<()> {
    match args.command {
        None => start(&args, &stop).await,
        Some(Command::List(args)) => list(&args).await,
        Some(Command::Show(args)) => show(&args, &stop).await,
        Some(Command::Cancel(args)) => cancel(&args).await,
    }
}

async fn start(args: &ReplayArgs, stop: &CancellationToken) -> anyhow::Result<()> {
    let (Some(start_time), Some(end_time)) = (args.from, args.to) else {
        bail!("--from and --to are required")
    };
    let pool = connect::database(&args.database).await?;
    let what = "Apply the missing and dead events of this range";
    if !confirm(what, args.yes)? {
        return Ok(());
    }
    let kinds = (!args.kinds.is_empty()).then(|| args.kinds.clone());
    let new = NewJob {
        requested_by: None,
        start_time,
        end_time,
        user: args.user.map(UserId),
        kinds,
    };
    let mut transaction = pool.begin().await?;
    let job = replay_jobs::create(&mut transaction, &new).await?;
    let after = json!({"start_time": job.start_time, "end_time": job.end_time,
                       "user_id": job.user_id, "event_types": job.event_types});
    let action = action(ActionName::EventsReplay, job.id, Some(after));
    record(&mut transaction, &action).await?;
    transaction.commit().await?;
    say!("requested replay {}", job.id);
    if status::read(&pool).await?.workers.is_empty() {
        say!("no worker is alive: start `tiris-ingest run` to run the replay");
    }

    if args.detach {
        Ok(())
    } else {
        watch(&pool, job.id, stop).await
    }
}

async fn list(args: &ShowArgs) -> anyhow::Result<()> {
    let pool = connect::database(&args.database).await?;
    let mut connection = pool.acquire().await?;
    let jobs = replay_jobs::list(&mut connection, None, LISTED_MAX).await?;
    if args.json {
        say!("{}", Value::Array(jobs.iter().map(as_json).collect()));
        return Ok(());
    }

    let header = "replay|requested|from|to|status|read|applied|duplicate|rejected";
    let mut shown = table(header, 5..9);
    for job in &jobs {
        let (read, all) = job.position();
        shown.add_row([
            job.id.to_string(),
            time(job.created_at),
            time(job.start_time),
            time(job.end_time),
            job.status.to_string(),
            format!("{read}/{all}"),
            job.applied.to_string(),
            job.duplicate.to_string(),
            job.rejected.to_string(),
        ]);
    }
    say!("{shown}");
    Ok(())
}

async fn show(args: &OneArgs, stop: &CancellationToken) -> anyhow::Result<()> {
    let pool = connect::database(&args.shown.database).await?;
    if args.watch {
        return watch(&pool, args.id, stop).await;
    }
    let job = find(&pool, args.id).await?;
    if args.shown.json {
        say!("{}", as_json(&job))
    } else {
        say!("{}", in_words(&job))
    }
    Ok(())
}

fn action(name: ActionName, id: Uuid, after: Option<Value>) -> Action<'static> {
    Action {
        name,
        resource: "replay",
        id: Some(id.to_string()),
        before: None,
        after,
    }
}

async fn cancel(args: &CancelArgs) -> anyhow::Result<()> {
    let id = args.id;
    let mut transaction = connect::database(&args.database).await?.begin().await?;
    let done = replay_jobs::cancel(&mut transaction, id, "an operator").await?;
    ensure!(done, "replay {id} does not exist or has already ended");
    let action = action(ActionName::EventsCancelReplay, id, None);
    record(&mut transaction, &action).await?;
    transaction.commit().await?;
    say!("cancelled replay {id}");
    Ok(())
}

/// Shows the progress until the replay ends. Ctrl-C stops only the watching.
async fn watch(pool: &PgPool, id: Uuid, stop: &CancellationToken) -> anyhow::Result<()> {
    let bar = progress_bar(0, "messages");
    loop {
        let job = find(pool, id).await?;
        let (read, all) = job.position();
        bar.set_length(all);
        bar.set_position(read);
        bar.set_message(format!(
            "{}, {} applied, {} duplicate, {} rejected",
            job.status, job.applied, job.duplicate, job.rejected
        ));
        if job.has_ended() {
            bar.finish_and_clear();
            say!("{}", in_words(&job));
            ensure!(job.status == ReplayStatus::Done, "the replay failed");
            return Ok(());
        }

        let waiting = tokio::time::sleep(WATCH_INTERVAL);
        if stop.run_until_cancelled(waiting).await.is_none() {
            bar.finish_and_clear();
            say!("the replay continues; `tiris-ingest replay show {id}` shows its progress");
            return Ok(());
        }
    }
}

async fn find(pool: &PgPool, id: Uuid) -> anyhow::Result<Job> {
    let mut connection = pool.acquire().await?;
    let found = replay_jobs::get(&mut connection, id).await;
    found.with_context(|| format!("replay {id}"))
}

fn in_words(job: &Job) -> String {
    let (read, all) = job.position();
    let why = job.reason.as_ref().map(|reason| format!(": {reason}"));
    let why = why.unwrap_or_default();
    let remarks = job.remarks.iter().map(|remark| format!("\n  {remark}"));
    let remarks: String = remarks.collect();
    format!(
        "replay {}: {}{why}; {read} of {all} messages read, {} events applied, {} duplicate, {} rejected{remarks}",
        job.id, job.status, job.applied, job.duplicate, job.rejected
    )
}

fn as_json(job: &Job) -> Value {
    let (read, all) = job.position();
    json!({
        "id": job.id, "start_time": job.start_time, "end_time": job.end_time, "user_id": job.user_id,
        "event_types": job.event_types, "status": job.status, "reason": job.reason, "remarks": job.remarks.0, "messages_read": read,
        "messages": all, "applied": job.applied, "duplicate": job.duplicate, "rejected": job.rejected,
        "created_at": job.created_at, "updated_at": job.updated_at,
    })
}
