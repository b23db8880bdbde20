//! S1 and S2: a backlog, beside what PostgreSQL can do with the same rows, and beside one event per transaction.

use super::{Bench, LOG, ONE, Outcome};
use crate::figure::{Line, ONE as ONE_TIMES, Samples, Target, Unit, per_second};
use crate::limit::{self, Shape};
use crate::people::People;
use anyhow::Result;

/// Of what is possible, in thousandths.
const LEAST_OF_LIMIT: u64 = 800;
/// Over one event per transaction.
const LEAST_OVER_SINGLE: u64 = 15 * ONE_TIMES;
/// So many of the events are enough to measure one per transaction.
const SINGLE_SHARE: u64 = 50;

pub(crate) async fn run(bench: &Bench, people: People) -> Result<Outcome> {
    let events = bench.sizes.events;
    let name = if people == ONE { "S2" } else { "S1" };
    let (mut measured, mut limits, mut singles) =
        (Samples::default(), Samples::default(), Samples::default());
    let (mut batches, mut connections) = (Samples::default(), Samples::default());
    for round in 1..=bench.sizes.repeat {
        bench.phase(&format!("{name}: backlog, round {round}"))?;
        let drained = bench.fresh_backlog(people, events, LOG).await?;
        measured.add(drained.rate());
        batches.add(drained.batch);
        connections.add(u64::from(drained.connections));
        bench.phase(&format!("{name}: limit, round {round}"))?;
        let shape = Shape {
            batch: drained.batch.max(1),
            connections: drained.connections.max(1),
        };
        let (limit, single) = limits_of(bench, people, events, shape).await?;
        limits.add(limit);
        singles.add(single);
    }
    let shape = format!(
        "{events} events, batches of {}, {} connections in both",
        batches.show(Unit::Count),
        connections.show(Unit::Count)
    );
    let what = format!("ingest of a backlog, {} account(s)", people.accounts);
    let mut lines = vec![
        Line::new(what, Unit::PerSecond, measured.clone())
            .against(limits)
            .target(Target::RatioAtLeast(LEAST_OF_LIMIT))
            .note(shape),
    ];
    if people != ONE {
        let line = Line::new(
            "the same beside one event per transaction",
            Unit::PerSecond,
            measured,
        );
        lines.push(
            line.against(singles)
                .target(Target::RatioAtLeast(LEAST_OVER_SINGLE)),
        );
    }
    Ok(lines.into())
}

/// The limit with this shape, and that of one event per transaction on one connection.
async fn limits_of(bench: &Bench, people: People, events: u64, shape: Shape) -> Result<(u64, u64)> {
    let database = bench.stage.database(people).await?;
    let limit = per_second(
        events,
        limit::run(&database, people, 0, events, shape).await?,
    );
    let more = events / SINGLE_SHARE;
    let alone = Shape {
        batch: 1,
        connections: 1,
    };
    let single = per_second(
        more,
        limit::run(&database, people, events, more, alone).await?,
    );
    database.check(events + more).await?;
    bench.stage.drop(database).await?;
    Ok((limit, single))
}
