//! S3: how long an event takes from its bot to the commit, by the clock of the machine both run on.

use crate::bench::{Bench, LOG, MANY, Outcome};
use crate::figure::{Line, Samples, Target, Unit, per_second};
use crate::people::Ids;
use crate::worker::Worker;
use anyhow::Result;
use std::time::{Duration, Instant};
use tiris_testing::eventually;

/// Events a second.
const RATE: u64 = 1_000;
/// The first events meet connections that are not open yet.
const WARM_UP: u64 = RATE;
const P50_MOST_MICROS: u64 = 5_000;
const P99_MOST_MICROS: u64 = 25_000;
const END_LIMIT: Duration = Duration::from_secs(30);
/// A load lasts so many times as long as one over HTTP.
const TIMES_AS_LONG: u64 = 2;

/// One round.
struct Measured {
    p50: u64,
    p99: u64,
    rate: u64,
}

pub(crate) async fn run(bench: &Bench) -> Result<Outcome> {
    let mut p50 = Samples::default();
    let mut p99 = Samples::default();
    let mut rates = Samples::default();
    for round in 1..=bench.sizes.repeat {
        bench.phase(&format!("S3: live, round {round}"))?;
        let measured = measure(bench).await?;
        p50.add(measured.p50);
        p99.add(measured.p99);
        rates.add(measured.rate);
    }

    let note = format!("published at {}", rates.show(Unit::PerSecond));
    Ok(vec![
        Line::new("publish to commit, p50", Unit::Micros, p50)
            .target(Target::AtMost(P50_MOST_MICROS))
            .note(note),
        Line::new("publish to commit, p99", Unit::Micros, p99)
            .target(Target::AtMost(P99_MOST_MICROS)),
    ]
    .into())
}

async fn measure(bench: &Bench) -> Result<Measured> {
    let mut site = bench.site(MANY).await?;
    let mut worker = Worker::start(&bench.stage, &site.database, &site.nats, LOG)?;
    worker.wait_until_ready().await?;

    let count = WARM_UP + RATE * TIMES_AS_LONG * bench.sizes.load_time().as_secs();
    let begun = Instant::now();
    site.next(count, Ids::Ordered, RATE)
        .publish(&site.nats.url())
        .await?;
    let rate = per_second(count, begun.elapsed());
    site.events += count;
    eventually("all events are in the books", END_LIMIT, async || {
        site.database.count(site.events).await
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
    site.database.check(site.events).await?;
    site.close(&bench.stage).await?;
    Ok(Measured {
        p50: u64::try_from(p50)?,
        p99: u64::try_from(p99)?,
        rate,
    })
}
