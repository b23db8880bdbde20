//! Several workers beside one: the same load in the same run, and how fast lanes change hands under it.
//!
//! Owns: what is measured and checked. Must not know: faults; what is compared with a limit is the hand-over alone,
//! throughput is reported.

mod stage;

use crate::report::{Check, Outcome};
use crate::run::Options;
use anyhow::Result;
use indicatif::ProgressBar;
use stage::{EVENTS, HandOver, LEASE, Stage};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Rounds, each with one worker and with several; the medians are reported.
const ROUNDS: usize = 3;
/// Above the lease: the others look five times within one.
const HAND_OVER_MARGIN: Duration = Duration::from_secs(1);

pub(crate) async fn run(options: &Options) -> Result<Outcome> {
    let begun = Instant::now();
    options.view.phase("scale: starting", 0);
    let mut stage = Stage::start().await?;
    // The first worker makes the streams.
    stage.share(1).await?;
    stage.stop_workers().await?;

    let mut rates: BTreeMap<usize, Vec<u64>> = BTreeMap::new();
    for round in 1..=ROUNDS {
        for workers in [1, options.workers] {
            options.check_stop()?;
            let phase = format!("scale: round {round} with {workers} worker(s)");
            options.view.phase(&phase, 0);
            let rate = measure(&mut stage, workers).await?;
            rates.entry(workers).or_default().push(rate);
        }
    }
    options.view.phase("scale: lanes change hands", 0);
    let hand_over = stage.hand_over(options.workers).await?;
    stage.stop_workers().await?;

    let stored = u64::try_from(stage.published)?;
    let took = begun.elapsed();
    Ok(Outcome {
        scenario: "scale",
        load_seconds: took.as_secs(),
        settled_seconds: took.as_secs(),
        stored,
        events_per_second: stored * 1000 / millis(took)?.max(1),
        published: BTreeMap::from([("trading.balance.updated".to_owned(), stored)]),
        faults: BTreeMap::from([("worker killed (SIGKILL)".to_owned(), 1)]),
        seen: seen(rates, &hand_over)?,
        checks: vec![
            within("lanes of a killed worker go to others", hand_over.left)?,
            within("a new worker gets its share", hand_over.joined)?,
            check_books(&stage).await?,
            check_order(&stage).await?,
        ],
    })
}

/// Events per second of workers that find a backlog, once each has its share of the lanes, to the last commit.
/// Publishing beside them would measure the publisher, which is slower than they are.
async fn measure(stage: &mut Stage, workers: usize) -> Result<u64> {
    let before = stage.done().await?;
    stage.publish(EVENTS).await?;
    stage.share(workers).await?;

    let begun = Instant::now();
    let first = stage.done().await?;
    stage.all_done().await?;
    let took = begun.elapsed();
    stage.stop_workers().await?;
    let counted = before + i64::try_from(EVENTS)? - first;
    Ok(u64::try_from(counted)? * 1000 / millis(took)?.max(1))
}

fn seen(rates: BTreeMap<usize, Vec<u64>>, hand_over: &HandOver) -> Result<BTreeMap<String, u64>> {
    let mut seen = BTreeMap::new();
    for (workers, mut rates) in rates {
        rates.sort_unstable();
        let name = format!("events/s with {workers} worker(s)");
        seen.insert(format!("{name}, median of {ROUNDS}"), rates[ROUNDS / 2]);
        seen.insert(format!("{name}, slowest"), rates[0]);
    }

    for (name, took) in [
        ("lanes of a killed worker taken after", hand_over.left),
        ("a new worker had its share after", hand_over.joined),
    ] {
        seen.insert(format!("{name}, milliseconds"), millis(took)?);
    }

    Ok(seen)
}

fn millis(time: Duration) -> Result<u64> {
    Ok(u64::try_from(time.as_millis())?)
}

fn within(what: &'static str, took: Duration) -> Result<Check> {
    let limit = LEASE + HAND_OVER_MARGIN;
    let mut findings = Vec::new();
    if took > limit {
        findings.push(format!("took {took:?} instead of at most {limit:?}"));
    }
    let extent = format!("{} ms, lease {} ms", millis(took)?, millis(LEASE)?);
    Ok(Check::new(what, extent, findings))
}

async fn check_books(stage: &Stage) -> Result<Check> {
    let report = tiris_migrations::verify(&stage.database_url, &ProgressBar::hidden()).await?;
    let letters: i64 = sqlx::query_scalar("SELECT count(*) FROM dead_letters")
        .fetch_one(&stage.pool)
        .await?;

    let mut findings = Vec::new();
    if !report.is_clean() {
        findings.push(report.to_string());
    }
    if letters > 0 {
        findings.push(format!("{letters} dead letters"));
    }
    let extent = format!("{} events", stage.published);
    Ok(Check::new("books", extent, findings))
}

/// Event ids rise in the order of publishing.
async fn check_order(stage: &Stage) -> Result<Check> {
    let wrong: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM (SELECT event_id, lag(event_id) OVER (PARTITION BY user_id ORDER BY timestamp, id) \
         AS before FROM trading_logs) l WHERE before >= event_id",
    )
    .fetch_one(&stage.pool)
    .await?;

    let mut findings = Vec::new();
    if wrong > 0 {
        findings.push(format!("{wrong} logs before an earlier event's"));
    }
    let extent = format!("{} users", stage.users.len());
    Ok(Check::new("order of each user's events", extent, findings))
}
