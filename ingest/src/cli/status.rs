//! `tiris-ingest status`: the state of the lanes and streams, for a terminal or a script.

mod streams;

use super::connect;
use super::terminal::{table, time};
use crate::settings::LimitArgs;
use clap::ValueEnum;
use comfy_table::Table;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;
use tiris_domain::lane::EventStream;
use tiris_domain::states::DeadLetterClass;
use tiris_runtime::config::{DatabaseArgs, NatsArgs};
use tiris_store::status::{self, EventsStatus, LaneFigures, WorkerFigures};
use tokio_util::sync::CancellationToken;

/// How often `--watch` refreshes.
const WATCH_INTERVAL: Duration = Duration::from_secs(2);
/// Exit code when a lane does not run.
const EXIT_UNHEALTHY: u8 = 2;

/// Arguments of `tiris-ingest status`.
#[derive(clap::Args, Debug)]
pub(super) struct StatusArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    nats: NatsArgs,
    #[command(flatten)]
    limits: LimitArgs,
    /// Lanes to show
    #[arg(long, value_enum, default_value = "notable")]
    lanes: Which,
    /// Refresh every two seconds until Ctrl-C
    #[arg(long, conflicts_with = "json")]
    watch: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Which {
    /// Lanes that do not run, lag behind or have open dead letters
    Notable,
    /// All lanes
    All,
}

/// Prints the status. Returns exit code 0 when every lane runs, otherwise 2.
pub(super) async fn run(args: StatusArgs, stop: CancellationToken) -> anyhow::Result<ExitCode> {
    let pool = connect::database(&args.database).await?;
    let streams = streams::Source::connect(&args.nats, &args.limits).await?;

    loop {
        let found = status::read(&pool).await?;
        let streams = streams.read().await;
        if args.json {
            let mut json = as_json(&found);
            json["streams"] = streams::as_json(&streams);
            say!("{json}");
        } else {
            let lanes = as_text(&found, args.lanes);
            let text = format!("{}\n{lanes}", streams::as_text(&streams));
            if args.watch && std::io::stdout().is_terminal() {
                write!(std::io::stdout(), "\x1b[2J\x1b[H")?;
            }
            say!("{text}");
            std::io::stdout().flush()?;
        }
        if !args.watch {
            let code = if found.is_healthy() {
                0
            } else {
                EXIT_UNHEALTHY
            };
            return Ok(ExitCode::from(code));
        }
        let waiting = tokio::time::sleep(WATCH_INTERVAL);
        if stop.run_until_cancelled(waiting).await.is_none() {
            return Ok(ExitCode::SUCCESS);
        }
    }
}

fn as_text(found: &EventsStatus, which: Which) -> String {
    let is_shown = |lane: &&LaneFigures| which == Which::All || is_notable(found, lane);
    let shown: Vec<&LaneFigures> = found.lanes.iter().filter(is_shown).collect();
    let mut text = String::new();
    if !shown.is_empty() {
        text = format!("{}\n", lane_table(found, &shown));
    }

    text += &format!("{}\n", stream_table(found));
    text += &if found.workers.is_empty() {
        "no worker is alive: start `tiris-ingest run`\n".to_owned()
    } else {
        format!("{}\n", worker_table(found))
    };
    let classes = dead_letters_by_class(found);
    if classes.is_empty() {
        return text + "no open dead letters";
    }
    let counts = classes.iter();
    let counts: Vec<String> = counts
        .map(|(class, count)| format!("{count} {class}"))
        .collect();
    let counts = counts.join(", ");
    text + &format!("open dead letters: {counts} (see `tiris-ingest dlq list`)")
}

fn stream_table(found: &EventsStatus) -> Table {
    let header = "stream|lanes|running|lag|oldest|processed today|last commit";
    let mut shown = table(header, 1..6);

    for stream in EventStream::ALL {
        let lanes = found.lanes.iter().filter(|lane| lane.key.stream == stream);
        let lanes: Vec<&LaneFigures> = lanes.collect();
        if lanes.is_empty() {
            continue;
        }
        let sum =
            |figure: fn(&LaneFigures) -> i64| lanes.iter().map(|lane| figure(lane)).sum::<i64>();
        let running = lanes.iter().filter(|lane| lane.status.is_running());
        shown.add_row([
            stream.to_string(),
            lanes.len().to_string(),
            running.count().to_string(),
            sum(|lane| lane.lag_messages.unwrap_or(0)).to_string(),
            seconds(
                lanes
                    .iter()
                    .filter_map(|lane| lane.lag_seconds)
                    .reduce(f64::max),
            ),
            sum(|lane| lane.events_today).to_string(),
            time(lanes.iter().filter_map(|lane| lane.last_commit_at).max()),
        ]);
    }

    shown
}

fn worker_table(found: &EventsStatus) -> Table {
    let mut shown = table("worker|host|version|since|lanes", 4..5);
    for worker in &found.workers {
        shown.add_row([
            worker.id.to_string(),
            worker.host.clone(),
            worker.version.clone(),
            time(worker.started_at),
            worker.lanes.to_string(),
        ]);
    }
    shown
}

fn lane_table(found: &EventsStatus, lanes: &[&LaneFigures]) -> Table {
    let header = "lane|status|owner|cursor|lag|oldest|last commit|dead letters|reason";
    let mut shown = table(header, 3..6);

    for lane in lanes {
        let lag = match (lane.lag_messages, lane.lag_exact) {
            (None, _) => "?".to_owned(),
            (Some(messages), Some(true)) => messages.to_string(),
            // An inexact lag is an upper bound.
            (Some(messages), _) => format!("≤ {messages}"),
        };
        let dead_letters = found.letters_of(lane.key);
        shown.add_row([
            lane.key.to_string(),
            lane.status.as_str().to_owned(),
            lane.host.clone().unwrap_or_else(|| "-".to_owned()),
            lane.cursor.to_string(),
            lag,
            seconds(lane.lag_seconds),
            time(lane.last_commit_at),
            dead_letters.values().sum::<i64>().to_string(),
            lane.status_reason.clone().unwrap_or_default(),
        ]);
    }

    shown
}

fn seconds(seconds: Option<f64>) -> String {
    seconds.map_or("-".to_owned(), |seconds| format!("{seconds:.1} s"))
}

fn is_notable(found: &EventsStatus, lane: &LaneFigures) -> bool {
    !lane.status.is_running()
        || lane.lag_messages != Some(0)
        || !found.letters_of(lane.key).is_empty()
}

fn dead_letters_by_class(found: &EventsStatus) -> BTreeMap<DeadLetterClass, i64> {
    let mut classes = BTreeMap::new();
    for letters in &found.letters {
        *classes.entry(letters.class).or_default() += letters.count;
    }
    classes
}

fn as_json(found: &EventsStatus) -> Value {
    let lane = |lane: &LaneFigures| {
        json!({
            "stream": lane.key.stream, "lane": lane.key.lane, "worker": lane.worker, "host": lane.host,
            "lease_until": lane.lease_until, "epoch": lane.epoch, "cursor": lane.cursor, "status": lane.status.as_str(),
            "status_reason": lane.status_reason, "lag_messages": lane.lag_messages, "lag_exact": lane.lag_exact,
            "lag_seconds": lane.lag_seconds.map(|seconds| seconds.to_string()), "lag_at": lane.lag_at,
            "last_commit_at": lane.last_commit_at, "events_today": lane.events_today,
            "dead_letters": found.letters_of(lane.key),
        })
    };
    let worker = |worker: &WorkerFigures| {
        json!({"id": worker.id, "host": worker.host, "version": worker.version, "started_at": worker.started_at,
               "lanes": worker.lanes})
    };

    json!({
        "healthy": found.is_healthy(), "lanes": found.lanes.iter().map(lane).collect::<Value>(),
        "workers": found.workers.iter().map(worker).collect::<Value>(), "dead_letters": dead_letters_by_class(found),
    })
}
