//! `tiris-ingest lanes`: shows whether cursors and streams belong together, and lets a halted lane go on.
//!
//! Owns: which lanes are meant, what is asked before, what is written. Must not know: what a lane does with it; one that
//! is halted looks again by itself.

mod place;

use super::audit::record;
use super::confirm::confirm;
use super::status::{right, table};
use super::{connection, pool};
use crate::identity::{Mismatch, Remedy};
use crate::lane::restart;
use crate::reader::LaneId;
use crate::stream::EventStream;
use anyhow::{Context, bail, ensure};
use place::Place;
use serde_json::{Value, json};
use sqlx::PgPool;
use std::collections::BTreeSet;
use std::str::FromStr;
use tiris_runtime::config::{DatabaseArgs, NatsArgs};
use tiris_store::audit::Action;
use tiris_store::lanes;

/// Arguments of `tiris-ingest lanes`.
#[derive(clap::Args, Debug)]
pub struct LanesArgs {
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
    lanes: Vec<LaneName>,
    /// All lanes that need it
    #[arg(long)]
    all: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

/// A lane as people write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct LaneName(LaneId);

impl FromStr for LaneName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong =
            || format!("a lane is written like TRADING/3 or TRADING_SYSTEM/0 (given: {text:?})");
        let (stream, lane) = text.split_once('/').ok_or_else(wrong)?;
        let stream = EventStream::ALL
            .into_iter()
            .find(|known| known.name() == stream)
            .ok_or_else(wrong)?;
        Ok(Self(LaneId {
            stream,
            lane: lane.parse().map_err(|_| wrong())?,
        }))
    }
}

/// Does what the command line asks for.
pub async fn run(args: LanesArgs) -> anyhow::Result<()> {
    match args.command {
        Command::Show(args) => show(&args).await,
        Command::AcceptGap(args) => change(&args, Remedy::AcceptGap).await,
        Command::Reset(args) => change(&args, Remedy::Reset).await,
    }
}

async fn places(parts: &Parts) -> anyhow::Result<(PgPool, Vec<Place>)> {
    let pool = pool(&parts.database)?;
    let connection = connection(&parts.nats).await?;
    let places = place::read(&pool, &connection).await?;
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
    let mut shown = table([
        "lane",
        "epoch",
        "owner",
        "cursor",
        "stream holds",
        "cursor and stream",
    ]);
    for place in &places {
        shown.add_row([
            place.id.to_string(),
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
    right(&mut shown, 3..4);
    say!("{shown}");
    Ok(())
}

fn as_json(place: &Place) -> Value {
    json!({
        "stream": place.id.stream.name(), "lane": place.id.lane, "epoch": place.epoch, "host": place.host,
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
            place.id,
            place.cursor
        );
    }
    let what = match remedy {
        Remedy::AcceptGap => "give the missing messages of",
        Remedy::Reset | Remedy::Settings => "begin anew with",
    };
    let end = if remedy == Remedy::AcceptGap {
        " up"
    } else {
        ""
    };
    if !confirm(&format!("{what} {} lane(s){end}", meant.len()), args.yes)? {
        return Ok(());
    }
    for (place, mismatch) in meant {
        write(&pool, place, mismatch, remedy)
            .await
            .with_context(|| format!("lane {}", place.id))?;
        say!("{}: done", place.id);
    }
    say!("a worker that has such a lane goes on within seconds");
    Ok(())
}

fn select<'a>(
    args: &ChangeArgs,
    places: &'a [Place],
    remedy: Remedy,
) -> anyhow::Result<Vec<(&'a Place, Mismatch)>> {
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
    let named: BTreeSet<LaneName> = args.lanes.iter().copied().collect();
    let mut meant = Vec::new();
    for LaneName(id) in named {
        let place = places.iter().find(|place| place.id == id);
        let place = place.with_context(|| {
            format!("there is no lane {id}; `tiris-ingest lanes show` lists them")
        })?;
        match place.mismatch {
            Some(mismatch) if mismatch.remedy() == remedy => meant.push((place, mismatch)),
            Some(mismatch) => bail!(
                "lane {id}: {mismatch}: {}; nothing was changed",
                mismatch.advice()
            ),
            None => bail!("lane {id}: cursor and stream belong together; nothing was changed"),
        }
    }
    Ok(meant)
}

async fn write(
    pool: &PgPool,
    place: &Place,
    mismatch: Mismatch,
    remedy: Remedy,
) -> anyhow::Result<()> {
    let (stream, lane) = (place.id.stream.name(), crate::lane::lane_column(place.id));
    let mut transaction = pool.begin().await?;
    let state = lanes::lock(&mut transaction, stream, lane)
        .await?
        .context("the lane is gone")?;
    ensure!(
        u64::try_from(state.cursor) == Ok(place.cursor)
            && state.stream_created_at == place.stream_created_at,
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
        id: Some(place.id.to_string()),
        before: Some(json!({"cursor": place.cursor, "why": mismatch.to_string()})),
        after: Some(json!({"cursor": to.cursor})),
    };
    record(&mut transaction, &action).await?;
    lanes::restart(&mut transaction, stream, lane, to).await?;
    transaction.commit().await?;
    Ok(())
}
