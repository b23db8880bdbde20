//! `tiris-ingest lanes`: shows whether cursors and streams belong together, and lets a halted lane continue.
//!
//! A lane that is halted looks again by itself.

mod located;

use super::audit::record;
use super::confirm::confirm;
use super::parts::{connection, pool};
use super::table::table;
use crate::lane::restart;
use crate::stream::{Mismatch, Remedy};
use anyhow::{Context, bail, ensure};
use located::Located;
use serde_json::{Value, json};
use sqlx::PgPool;
use std::collections::BTreeSet;
use tiris_domain::lane::LaneKey;
use tiris_runtime::config::{DatabaseArgs, NatsArgs};
use tiris_store::audit::Action;
use tiris_store::lanes;

/// Arguments of `tiris-ingest lanes`.
#[derive(clap::Args, Debug)]
pub(super) struct LanesArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand, Debug)]
enum Command {
    /// Show every lane: cursor, stream, and whether they belong together
    Show(ShowArgs),
    /// Give up messages that retention took before they were read, and go on behind them
    AcceptGap(ChangeArgs),
    /// Begin anew at the start of a stream that was made anew or lost its tail; events that are done are passed over
    Reset(ChangeArgs),
}

#[derive(clap::Args, Debug)]
struct Parts {
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    nats: NatsArgs,
}

#[derive(clap::Args, Debug)]
struct ShowArgs {
    #[command(flatten)]
    parts: Parts,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args, Debug)]
struct ChangeArgs {
    #[command(flatten)]
    parts: Parts,
    /// The lanes, as TRADING/3
    #[arg(value_name = "STREAM/LANE", conflicts_with = "all")]
    lanes: Vec<LaneKey>,
    /// All lanes that need it
    #[arg(long)]
    all: bool,
    /// Do not ask
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

async fn places(parts: &Parts) -> anyhow::Result<(PgPool, Vec<Located>)> {
    let pool = pool(&parts.database)?;
    let connection = connection(&parts.nats).await?;
    let places = located::read(&pool, &connection).await?;
    ensure!(
        !places.is_empty(),
        "there are no lanes yet: tiris-ingest run makes them"
    );
    Ok((pool, places))
}

async fn show(args: &ShowArgs) -> anyhow::Result<()> {
    let (_, places) = places(&args.parts).await?;
    if args.json {
        say!("{}", Value::Array(places.iter().map(as_json).collect()));
        return Ok(());
    }
    let header = "lane|epoch|owner|cursor|stream holds|cursor and stream";
    let mut shown = table(header, 3..4);

    for place in &places {
        shown.add_row([
            place.key.to_string(),
            place.epoch.to_string(),
            place.host.clone().unwrap_or_else(|| "-".to_owned()),
            place.cursor.to_string(),
            format!("{} to {}", place.stream.first_seq, place.stream.last_seq),
            match place.mismatch {
                None => "belong together".to_owned(),
                Some(mismatch) => format!("{mismatch}: {}", mismatch.advice()),
            },
        ]);
    }
    say!("{shown}");

    Ok(())
}

fn as_json(place: &Located) -> Value {
    json!({
        "stream": place.key.stream, "lane": place.key.lane, "epoch": place.epoch, "host": place.host,
        "cursor": place.cursor, "first_seq": place.stream.first_seq, "last_seq": place.stream.last_seq,
        "mismatch": place.mismatch.map(Mismatch::kind), "why": place.mismatch.map(|why| why.to_string()),
    })
}

async fn change(args: &ChangeArgs, remedy: Remedy) -> anyhow::Result<()> {
    let (pool, places) = places(&args.parts).await?;
    let meant = select(args, &places, remedy)?;
    if meant.is_empty() {
        say!("no lane needs it");
        return Ok(());
    }
    for (place, mismatch) in &meant {
        let to = restart(*mismatch, &place.stream).cursor;
        say!(
            "{}: {mismatch}; goes on behind {to}, cursor now {}",
            place.key,
            place.cursor
        );
    }
    let lanes = meant.len();
    let what = match remedy {
        Remedy::AcceptGap => format!("give the missing messages of {lanes} lane(s) up"),
        Remedy::Reset | Remedy::Settings => format!("begin anew with {lanes} lane(s)"),
    };
    if !confirm(&what, args.yes)? {
        return Ok(());
    }

    for (place, mismatch) in meant {
        write(&pool, place, mismatch, remedy)
            .await
            .with_context(|| format!("lane {}", place.key))?;
        say!("{}: done", place.key);
    }
    say!("a worker that has such a lane goes on within seconds");
    Ok(())
}

fn select<'a>(
    args: &ChangeArgs,
    places: &'a [Located],
    remedy: Remedy,
) -> anyhow::Result<Vec<(&'a Located, Mismatch)>> {
    if args.all {
        let need = places
            .iter()
            .filter_map(|place| place.mismatch.map(|mismatch| (place, mismatch)));
        return Ok(need
            .filter(|(_, mismatch)| mismatch.remedy() == remedy)
            .collect());
    }
    ensure!(
        !args.lanes.is_empty(),
        "name lanes like TRADING/3, or say --all"
    );
    let named: BTreeSet<LaneKey> = args.lanes.iter().copied().collect();
    let mut meant = Vec::new();

    for key in named {
        let place = places.iter().find(|place| place.key == key);
        let place = place.with_context(|| {
            format!("there is no lane {key}; `tiris-ingest lanes show` lists them")
        })?;
        match place.mismatch {
            Some(mismatch) if mismatch.remedy() == remedy => meant.push((place, mismatch)),
            Some(mismatch) => bail!(
                "lane {key}: {mismatch}: {}; nothing was changed",
                mismatch.advice()
            ),
            None => bail!("lane {key}: cursor and stream belong together; nothing was changed"),
        }
    }

    Ok(meant)
}

async fn write(
    pool: &PgPool,
    place: &Located,
    mismatch: Mismatch,
    remedy: Remedy,
) -> anyhow::Result<()> {
    let mut transaction = pool.begin().await?;
    let state = lanes::lock(&mut transaction, place.key)
        .await?
        .context("the lane is gone")?;
    ensure!(
        state.cursor == place.cursor && state.stream_created_at == place.stream_created_at,
        "it moved meanwhile, nothing was changed: look again"
    );

    let to = restart(mismatch, &place.stream);
    let action = Action {
        name: if remedy == Remedy::AcceptGap {
            "lane.accept_gap"
        } else {
            "lane.reset"
        },
        resource: "lane",
        id: Some(place.key.to_string()),
        before: Some(json!({"cursor": place.cursor, "why": mismatch.to_string()})),
        after: Some(json!({"cursor": to.cursor})),
    };
    record(&mut transaction, &action).await?;
    lanes::restart(&mut transaction, place.key, to).await?;
    transaction.commit().await?;
    Ok(())
}
