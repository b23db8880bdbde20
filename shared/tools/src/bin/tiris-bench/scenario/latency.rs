//! S3: the time from publishing an event to its commit, by the clock of the machine that both run on.

use crate::figure::{Line, Samples, Target, Unit, per_second};
use crate::site::{Bench, LOG, MANY, Outcome, Site};
use crate::worker;
use anyhow::Result;
use std::time::{Duration, Instant};
use tiris_testing::eventually;
use tiris_tools::{EventIds, check_books};

/// Events a second.
const RATE: u64 = 1_000;
/// The first events wait for connections to open.
const WARM_UP: u64 = RATE;
const P50_MOST_MICROS: u64 = 5_000;
const P99_MOST_MICROS: u64 = 25_000;
const END_LIMIT: Duration = Duration::from_secs(30);
/// A load lasts this many times as long as an HTTP load.
const TIMES_AS_LONG: u64 = 2;

#[derive(Default)]
struct Measured {
    p50: Samples,
    p99: Samples,
    rates: Samples,
}

pub(crate) async fn run(bench: &Bench) -> Result<Outcome> {
    let mut all = Measured::default();
    for round in 1..=bench.sizes.repeat {
        bench.phase(&format!("S3: live, round {round}"))?;
        measure(bench, &mut all).await?;
    }

    let note = format!("published at {}", all.rates.show(Unit::PerSecond));
    Ok(vec![
        Line::new("publish to commit, p50", Unit::Micros, all.p50)
            .target(Target::AtMost(P50_MOST_MICROS))
            .note(note),
        Line::new("publish to commit, p99", Unit::Micros, all.p99)
            .target(Target::AtMost(P99_MOST_MICROS)),
    ]
    .into())
}

async fn measure(bench: &Bench, all: &mut Measured) -> Result<()> {
    let mut site = Site::open(&bench.stage, MANY).await?;
    let mut worker = worker::launch(&bench.stage, &site.database, &site.nats, LOG)?;
    worker.wait_until_ready().await?;

    let count = WARM_UP + RATE * TIMES_AS_LONG * bench.sizes.seconds;
    let begun = Instant::now();
    site.publish(count, EventIds::Ordered, RATE).await?;
    all.rates.add(per_second(count, begun.elapsed()));
    eventually("all events are in the books", END_LIMIT, async || {
        check_books(&site.database.pool, site.events).await
    })
    .await?;
    worker.stop().await?;

    let (p50, p99): (i64, i64) = sqlx::query_as(
        "SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY micros), percentile_disc(0.99) WITHIN GROUP (ORDER BY micros) \
         FROM (SELECT (extract(epoch FROM pg_xact_commit_timestamp(xmin) - event_time) * 1000000)::bigint AS micros \
               FROM trading_logs ORDER BY event_time OFFSET $1) AS l",
    )
    .bind(i64::try_from(WARM_UP)?)
    .fetch_one(&site.database.pool)
    .await?;
    all.p50.add(u64::try_from(p50)?);
    all.p99.add(u64::try_from(p99)?);
    site.check_and_close(&bench.stage).await
}
