//! Events, requests and live streams at an even pace for a long time. The memory and the open files of every process are
//! sampled, drawn, and must stay flat once the process is warm.

mod load;
mod stage;
mod usage;

use crate::report::{Check, Outcome};
use crate::run::Options;
use crate::tally::Tally;
use anyhow::{Context, Result};
use load::{EVENTS_PER_SECOND, Load};
use stage::Stage;
use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};
use tiris_tools::{BookedRows, check_rows, verify_books};
use usage::{Kind, Usage};

/// The time between two samples.
const SAMPLE_INTERVAL: Duration = Duration::from_secs(5);

pub(crate) async fn run(options: &Options) -> Result<Outcome> {
    options.view.phase("soak: starting", 0);
    let stage = Stage::start().await?;
    let begun = Instant::now();
    let mut load = Load::start(&stage).await?;

    let planned = u64::from(options.soak_seconds) * EVENTS_PER_SECOND;
    options.view.phase("soak: under load", planned);
    let usage = watch(options, &stage, &mut load, begun).await?;
    let load_seconds = begun.elapsed().as_secs();

    options.view.phase("soak: the rest of the load", 0);
    let counts = load.end().await?;
    let events = counts.get(load::PUBLISHED);
    let deposits = counts.get(load::DEPOSITS);
    stage.wait_until_booked(events + deposits).await?;

    options.view.phase("soak: comparing", 0);
    let drawn = draw(options, &usage)?;
    options.view.say(&drawn);
    let mut checks = vec![
        books(&stage, events + deposits).await,
        load::requests(&counts),
        load::streams(&counts),
    ];
    checks.extend(Kind::ALL.map(|kind| usage.check(kind)));

    let took = begun.elapsed().as_secs();
    Ok(Outcome {
        scenario: "soak",
        load_seconds,
        settled_seconds: took,
        stored: events,
        events_per_second: events / load_seconds.max(1),
        published: BTreeMap::from([("trading.balance.updated".to_owned(), events)]),
        faults: BTreeMap::new(),
        seen: seen(&counts, &usage),
        checks,
    })
}

/// Samples all processes until the end of the load.
async fn watch(options: &Options, stage: &Stage, load: &mut Load, begun: Instant) -> Result<Usage> {
    let duration = Duration::from_secs(options.soak_seconds.into());
    let mut usage = Usage::default();
    let mut tick = tokio::time::interval(SAMPLE_INTERVAL);

    while begun.elapsed() < duration {
        options.stop.run_until_cancelled(tick.tick()).await;
        options.check_stop()?;
        load.check()?;

        let at = begun.elapsed().as_secs();
        for (name, pid) in stage.processes() {
            usage.sample(name, pid, at);
        }
        options.view.progress(load.published());
    }
    Ok(usage)
}

/// Draws the samples, and returns a line that names the files.
fn draw(options: &Options, usage: &Usage) -> Result<String> {
    let folder = options.keep.join("soak");
    fs::create_dir_all(&folder).context("cannot create the folder of the drawings")?;
    for kind in Kind::ALL {
        let curve = usage.curve(kind);
        curve.draw(&folder.join(format!("{}.svg", curve.name)))?;
    }
    Ok(format!("drawings: {}", folder.display()))
}

async fn books(stage: &Stage, movements: u64) -> Check {
    let expected = BookedRows {
        postings: movements,
        logs: movements,
    };
    let counted = check_rows(&stage.servers.pool, expected).await;
    let verified = verify_books(&stage.servers.database_url).await;
    let errors = [counted, verified].into_iter().filter_map(Result::err);
    Check {
        what: "books",
        extent: format!("{movements} movements"),
        findings: errors.map(|error| format!("{error:#}")).collect(),
    }
}

fn seen(counts: &Tally, usage: &Usage) -> BTreeMap<String, u64> {
    let mut seen = counts.all();
    seen.extend(usage.largest());
    seen
}
