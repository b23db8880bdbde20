//! `tiris-ingest lanes`: compares the cursors of the lanes with the streams, and lets halted lanes continue.

mod located;

use super::audit::record;
use super::connect;
use super::terminal::{confirm, table};
use crate::lane::restart;
use crate::stream::{Mismatch, Remedy};
use anyhow::{Context, bail, ensure};
use located::Located;
use serde_json::{Value, json};
use sqlx::PgPool;
use std::collections::BTreeSet;
use tiris_domain::lane::LaneKey;
use tiris_runtime::config::{DatabaseArgs, NatsArgs};
use tiris_store::audit::{Action, ActionName};
use tiris_store::lanes;

/// Arguments of `tiris-ingest lanes`.
#[derive(clap::Args, Debug)]
pub(super) struct LanesArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand, Debug)]
enum Command {
    /// Show the cursor and the stream of every lane, and whether they match
    Show(ShowArgs),
    /// Skip messages that retention deleted before they were read
    AcceptGap(ChangeArgs),
    /// Restart at the beginning of a stream that was recreated or lost its newest messages; processed events are skipped
    Reset(ChangeArgs),
}

#[derive(clap::Args, Debug)]
struct ConnectArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    nats: NatsArgs,
}

#[derive(clap::Args, Debug)]
struct ShowArgs {
    #[command(flatten)]
    connect: ConnectArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args, Debug)]
struct ChangeArgs {
    #[command(flatten)]
    connect: ConnectArgs,
    /// Lanes to change, such as TRADING/3
    #[arg(value_name = "STREAM/LANE", conflicts_with = "all")]
    lanes: Vec<LaneKey>,
    /// Change all lanes that need it
    #[arg(long)]
    all: bool,
    /// Skip the confirmation
    #[arg(long)]
    yes: bool,
}

/// Runs the command.
pub(super) async fn run(args: LanesArgs) -> anyhow::Result<()> {
    match args.command {
        Command::Show(args) => show(&args).await,
        Command::AcceptGap(args) => change(&args, Remedy::AcceptGap).await,
        Command::Reset(args) => change(&args, Remedy::Reset).await,
    }
}

async fn read(args: &ConnectArgs) -> anyhow::Result<(PgPool, Vec<Located>)> {
    let pool = connect::database(&args.database).await?;
    let connection = connect::nats(&args.nats).await?;
    let lanes = located::read(&pool, &connection).await?;
    ensure!(
        !lanes.is_empty(),
        "there are no lanes yet: `tiris-ingest run` creates them"
    );
    Ok((pool, lanes))
}

async fn show(args: &ShowArgs) -> anyhow::Result<()> {
    let (_, lanes) = read(&args.connect).await?;
    if args.json {
        say!("{}", Value::Array(lanes.iter().map(as_json).collect()));
        return Ok(());
    }
    let header = "lane|epoch|owner|cursor|messages in stream|cursor and stream";
    let mut shown = table(header, 3..4);

    for lane in &lanes {
        shown.add_row([
            lane.key.to_string(),
            lane.state.epoch.to_string(),
            lane.host.clone().unwrap_or_else(|| "-".to_owned()),
            lane.state.cursor.to_string(),
            format!("{} to {}", lane.stream.first_seq, lane.stream.last_seq),
            match lane.mismatch {
                None => "match".to_owned(),
                Some(mismatch) => format!("{mismatch}: {}", mismatch.advice()),
            },
        ]);
    }
    say!("{shown}");

    Ok(())
}

fn as_json(lane: &Located) -> Value {
    json!({
        "stream": lane.key.stream, "lane": lane.key.lane, "epoch": lane.state.epoch, "host": lane.host,
        "cursor": lane.state.cursor, "first_seq": lane.stream.first_seq, "last_seq": lane.stream.last_seq,
        "mismatch": lane.mismatch.map(Mismatch::kind), "why": lane.mismatch.map(|why| why.to_string()),
    })
}

async fn change(args: &ChangeArgs, remedy: Remedy) -> anyhow::Result<()> {
    let (pool, lanes) = read(&args.connect).await?;
    let selected = select(args, &lanes, remedy)?;
    if selected.is_empty() {
        say!("no lane needs it");
        return Ok(());
    }
    for (lane, mismatch) in &selected {
        let from = lane.state.cursor;
        let to = restart(*mismatch, &lane.stream).cursor;
        say!(
            "{}: {mismatch}; the cursor moves from {from} to {to}",
            lane.key
        );
    }
    let count = selected.len();
    let what = match remedy {
        Remedy::AcceptGap => format!("Skip the missing messages of {count} lane(s)"),
        Remedy::Reset | Remedy::Settings => format!("Reset {count} lane(s)"),
    };
    if !confirm(&what, args.yes)? {
        return Ok(());
    }

    for (lane, mismatch) in selected {
        let written = write(&pool, lane, mismatch, remedy).await;
        written.with_context(|| format!("lane {}", lane.key))?;
        say!("{}: done", lane.key);
    }
    say!("the workers of these lanes continue within seconds");
    Ok(())
}

fn select<'a>(
    args: &ChangeArgs,
    lanes: &'a [Located],
    remedy: Remedy,
) -> anyhow::Result<Vec<(&'a Located, Mismatch)>> {
    if args.all {
        let mismatches = lanes.iter().filter_map(|lane| Some((lane, lane.mismatch?)));
        let needed = mismatches.filter(|(_, mismatch)| mismatch.remedy() == remedy);
        return Ok(needed.collect());
    }
    ensure!(
        !args.lanes.is_empty(),
        "name lanes such as TRADING/3, or add --all"
    );
    let named: BTreeSet<LaneKey> = args.lanes.iter().copied().collect();
    let mut selected = Vec::new();

    for key in named {
        let lane = lanes.iter().find(|lane| lane.key == key);
        let lane = lane.with_context(|| {
            format!("there is no lane {key}; `tiris-ingest lanes show` lists the lanes")
        })?;
        match lane.mismatch {
            Some(mismatch) if mismatch.remedy() == remedy => selected.push((lane, mismatch)),
            Some(mismatch) => bail!(
                "lane {key}: {mismatch}: {}; nothing was changed",
                mismatch.advice()
            ),
            None => bail!("lane {key}: cursor and stream match; nothing was changed"),
        }
    }

    Ok(selected)
}

async fn write(
    pool: &PgPool,
    lane: &Located,
    mismatch: Mismatch,
    remedy: Remedy,
) -> anyhow::Result<()> {
    let mut transaction = pool.begin().await?;
    let stored = lanes::lock(&mut transaction, lane.key).await?;
    let stored = stored.context("the lane does not exist any more")?;
    let cursor = lane.state.cursor;
    ensure!(
        stored.cursor == cursor && stored.stream_created_at == lane.state.stream_created_at,
        "the cursor has moved meanwhile, so nothing was changed; run the command again"
    );

    let to = restart(mismatch, &lane.stream);
    let action = Action {
        name: match remedy {
            Remedy::AcceptGap => ActionName::LaneAcceptGap,
            Remedy::Reset | Remedy::Settings => ActionName::LaneReset,
        },
        resource: "lane",
        id: Some(lane.key.to_string()),
        before: Some(json!({"cursor": cursor, "why": mismatch.to_string()})),
        after: Some(json!({"cursor": to.cursor})),
    };
    record(&mut transaction, &action).await?;
    lanes::restart(&mut transaction, lane.key, to).await?;
    transaction.commit().await?;
    Ok(())
}
