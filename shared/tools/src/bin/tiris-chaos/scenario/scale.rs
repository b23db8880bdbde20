//! Several workers beside one: the same load in the same run, and how fast lanes change hands under load. Only the hand-over
//! has a limit; throughput is reported.

mod stage;

use crate::report::{Check, Outcome};
use crate::run::Options;
use anyhow::Result;
use stage::{EVENTS, HandOver, LEASE, Stage, USERS};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tiris_tools::{booked_events, check_books, count_rows, verify_books};

/// Each round measures one worker and several; the medians are reported.
const ROUNDS: usize = 3;
/// The time allowed beyond the lease: the other workers look for free lanes five times within one.
const HAND_OVER_MARGIN: Duration = Duration::from_secs(1);

pub(crate) async fn run(options: &Options) -> Result<Outcome> {
    let begun = Instant::now();
    options.view.phase("scale: starting", 0);
    let mut stage = Stage::start().await?;
    // The first worker declares the streams.
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

    let stored = stage.published;
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
            books(&stage).await,
            order(&stage).await?,
        ],
    })
}

/// Returns the events a second of workers with a backlog, from the moment each has its share of the lanes to the last
/// commit. Publishing meanwhile would measure the publisher, which is slower than the workers.
async fn measure(stage: &mut Stage, workers: usize) -> Result<u64> {
    stage.publish(EVENTS).await?;
    stage.share(workers).await?;

    let begun = Instant::now();
    let first = booked_events(&stage.servers.pool).await?;
    stage.wait_until_done().await?;
    let took = begun.elapsed();
    stage.stop_workers().await?;
    Ok((stage.published - first) * 1000 / millis(took)?.max(1))
}

fn seen(rates: BTreeMap<usize, Vec<u64>>, hand_over: &HandOver) -> Result<BTreeMap<String, u64>> {
    let mut seen = BTreeMap::new();
    for (workers, mut rates) in rates {
        rates.sort_unstable();
        let name = format!("events/s with {workers} worker(s)");
        seen.insert(format!("{name}, median of {ROUNDS}"), rates[ROUNDS / 2]);
        seen.insert(format!("{name}, slowest"), rates[0]);
    }

    let left = "lanes of a killed worker taken after, milliseconds";
    seen.insert(left.to_owned(), millis(hand_over.left)?);
    let joined = "a new worker had its share after, milliseconds";
    seen.insert(joined.to_owned(), millis(hand_over.joined)?);
    Ok(seen)
}

fn millis(time: Duration) -> Result<u64> {
    Ok(u64::try_from(time.as_millis())?)
}

fn within(what: &'static str, took: Duration) -> Result<Check> {
    let limit = LEASE + HAND_OVER_MARGIN;
    let is_late = took > limit;
    let finding = is_late.then(|| format!("took {took:?} instead of at most {limit:?}"));
    Ok(Check {
        what,
        extent: format!("{} ms, lease {} ms", millis(took)?, millis(LEASE)?),
        findings: finding.into_iter().collect(),
    })
}

async fn books(stage: &Stage) -> Check {
    let counted = check_books(&stage.servers.pool, stage.published).await;
    let verified = verify_books(&stage.servers.database_url).await;
    let errors = [counted, verified].into_iter().filter_map(Result::err);
    Check {
        what: "books",
        extent: format!("{} events", stage.published),
        findings: errors.map(|error| format!("{error:#}")).collect(),
    }
}

/// Checks that the event ids of each user rise in the order of the logs.
async fn order(stage: &Stage) -> Result<Check> {
    let wrong = count_rows(
        &stage.servers.pool,
        "(SELECT event_id, lag(event_id) OVER (PARTITION BY user_id ORDER BY timestamp, id) AS before \
         FROM trading_logs) l WHERE before >= event_id",
    )
    .await?;

    let finding = (wrong > 0).then(|| format!("{wrong} logs before an earlier event's"));
    Ok(Check {
        what: "order of each user's events",
        extent: format!("{} users", USERS.accounts),
        findings: finding.into_iter().collect(),
    })
}
