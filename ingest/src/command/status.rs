//! `tiris-ingest status`: how every lane is, for a terminal or a script.

use super::pool;
use chrono::{DateTime, SecondsFormat, Utc};
use clap::ValueEnum;
use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;
use tiris_runtime::config::DatabaseArgs;
use tiris_store::status::{self, EventsStatus, LaneFigures};
use tokio_util::sync::CancellationToken;

/// How often `--watch` looks again.
const WATCH_INTERVAL: Duration = Duration::from_secs(2);
/// Answered when a lane does not run.
const EXIT_UNHEALTHY: u8 = 2;

/// Arguments of `tiris-ingest status`.
#[derive(clap::Args, Debug)]
pub struct StatusArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    /// Which lanes to show
    #[arg(long, value_enum, default_value = "notable")]
    lanes: Which,
    /// Look again every two seconds, until Ctrl-C
    #[arg(long, conflicts_with = "json")]
    watch: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Which {
    /// Those that do not run, lag behind or have open dead letters
    Notable,
    /// All of them
    All,
}

/// Prints it; answers 0 when every lane runs, else 2.
pub async fn run(args: StatusArgs, stop: CancellationToken) -> anyhow::Result<ExitCode> {
    let pool = pool(&args.database)?;
    loop {
        let found = status::read(&pool).await?;
        if args.json {
            say!("{}", as_json(&found));
        } else {
            let text = as_text(&found, args.lanes);
            if args.watch && std::io::stdout().is_terminal() {
                write!(std::io::stdout(), "\x1b[2J\x1b[H")?;
            }
            say!("{text}");
            std::io::stdout().flush()?;
        }
        if !args.watch {
            return Ok(if found.is_healthy() {
                ExitCode::SUCCESS
            } else {
                ExitCode::from(EXIT_UNHEALTHY)
            });
        }
        tokio::select! {
            () = stop.cancelled() => return Ok(ExitCode::SUCCESS),
            () = tokio::time::sleep(WATCH_INTERVAL) => {}
        }
    }
}

fn as_text(found: &EventsStatus, which: Which) -> String {
    let mut text = String::new();
    let shown: Vec<&LaneFigures> = found
        .lanes
        .iter()
        .filter(|lane| which == Which::All || is_notable(found, lane))
        .collect();
    if !shown.is_empty() {
        text = format!("{}\n", lane_table(found, &shown));
    }
    let mut streams = table([
        "stream",
        "lanes",
        "running",
        "lag",
        "oldest",
        "done today",
        "last commit",
    ]);
    for (stream, lanes) in by_stream(found) {
        let sum =
            |figure: fn(&LaneFigures) -> i64| lanes.iter().map(|lane| figure(lane)).sum::<i64>();
        let oldest = lanes.iter().filter_map(|lane| lane.lag_seconds).max();
        streams.add_row([
            stream.to_owned(),
            lanes.len().to_string(),
            lanes
                .iter()
                .filter(|lane| lane.status == "running")
                .count()
                .to_string(),
            sum(|lane| lane.lag_messages.unwrap_or(0)).to_string(),
            oldest.map_or("-".to_owned(), |seconds| {
                format!("{} s", seconds.round_dp(1))
            }),
            sum(|lane| lane.events_today).to_string(),
            time(lanes.iter().filter_map(|lane| lane.last_commit_at).max()),
        ]);
    }
    right(&mut streams, 1..6);
    text += &format!("{streams}\n");
    let mut workers = table(["worker", "host", "version", "since", "lanes"]);
    for worker in &found.workers {
        workers.add_row([
            worker.id.to_string(),
            worker.host.clone(),
            worker.version.clone(),
            time(Some(worker.started_at)),
            worker.lanes.to_string(),
        ]);
    }
    if found.workers.is_empty() {
        text += "no worker is alive: start tiris-ingest run\n";
    } else {
        right(&mut workers, 4..5);
        text += &format!("{workers}\n");
    }
    let classes = letters_by_class(found);
    if classes.is_empty() {
        text += "no open dead letters";
    } else {
        let parts: Vec<String> = classes
            .iter()
            .map(|(class, count)| format!("{count} {class}"))
            .collect();
        text += &format!(
            "open dead letters: {} (tiris-ingest dlq list)",
            parts.join(", ")
        );
    }
    text
}

fn lane_table(found: &EventsStatus, lanes: &[&LaneFigures]) -> Table {
    let mut shown = table([
        "lane",
        "status",
        "owner",
        "cursor",
        "lag",
        "oldest",
        "last commit",
        "letters",
        "why",
    ]);
    for lane in lanes {
        let lag = lane.lag_messages.map_or("?".to_owned(), |messages| {
            // What is not counted is an upper bound.
            format!(
                "{}{messages}",
                if lane.lag_exact == Some(true) {
                    ""
                } else {
                    "≤ "
                }
            )
        });
        shown.add_row([
            format!("{}/{}", lane.stream, lane.lane),
            lane.status.clone(),
            lane.host.clone().unwrap_or_else(|| "-".to_owned()),
            lane.cursor.to_string(),
            lag,
            lane.lag_seconds.map_or("-".to_owned(), |seconds| {
                format!("{} s", seconds.round_dp(1))
            }),
            time(lane.last_commit_at),
            found.letters_of(lane).values().sum::<i64>().to_string(),
            lane.status_reason.clone().unwrap_or_default(),
        ]);
    }
    right(&mut shown, 3..6);
    shown
}

fn is_notable(found: &EventsStatus, lane: &LaneFigures) -> bool {
    lane.status != "running" || lane.lag_messages != Some(0) || !found.letters_of(lane).is_empty()
}

fn by_stream(found: &EventsStatus) -> BTreeMap<&str, Vec<&LaneFigures>> {
    let mut streams: BTreeMap<&str, Vec<&LaneFigures>> = BTreeMap::new();
    for lane in &found.lanes {
        streams.entry(&lane.stream).or_default().push(lane);
    }
    streams
}

fn letters_by_class(found: &EventsStatus) -> BTreeMap<&str, i64> {
    let mut classes: BTreeMap<&str, i64> = BTreeMap::new();
    for (class, count) in found.letters.values().flatten() {
        *classes.entry(class).or_default() += count;
    }
    classes
}

fn as_json(found: &EventsStatus) -> Value {
    let lanes: Vec<Value> = found
        .lanes
        .iter()
        .map(|lane| {
            json!({
                "stream": lane.stream, "lane": lane.lane, "worker": lane.worker, "host": lane.host,
                "lease_until": lane.lease_until, "epoch": lane.epoch, "cursor": lane.cursor, "status": lane.status,
                "status_reason": lane.status_reason, "lag_messages": lane.lag_messages, "lag_exact": lane.lag_exact,
                "lag_seconds": lane.lag_seconds.map(|seconds| seconds.to_string()), "lag_at": lane.lag_at,
                "last_commit_at": lane.last_commit_at, "events_today": lane.events_today,
                "dead_letters": found.letters_of(lane),
            })
        })
        .collect();
    let workers: Vec<Value> = found
        .workers
        .iter()
        .map(|worker| {
            json!({"id": worker.id, "host": worker.host, "version": worker.version, "started_at": worker.started_at,
                   "lanes": worker.lanes})
        })
        .collect();
    json!({
        "healthy": found.is_healthy(), "lanes": lanes, "workers": workers, "dead_letters": letters_by_class(found),
    })
}

pub(super) fn table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_FULL_CONDENSED)
        .set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(header);
    table
}

pub(super) fn right(table: &mut Table, columns: std::ops::Range<usize>) {
    for column in table
        .column_iter_mut()
        .skip(columns.start)
        .take(columns.len())
    {
        column.set_cell_alignment(CellAlignment::Right);
    }
}

pub(super) fn time(time: Option<DateTime<Utc>>) -> String {
    time.map_or("-".to_owned(), |time| {
        time.to_rfc3339_opts(SecondsFormat::Secs, true)
    })
}
