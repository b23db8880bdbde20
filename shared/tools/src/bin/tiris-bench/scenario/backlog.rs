//! S1 and S2: a backlog, beside what PostgreSQL can do with the same rows, and beside one event per transaction.

use crate::bench::{Bench, LOG, ONE, Outcome};
use crate::figure::{Line, ONE as ONE_TIMES, Samples, Target, Unit, per_second};
use crate::limit::{self, Shape};
use crate::people::People;
use crate::stage::Database;
use anyhow::Result;

/// Of what is possible, in thousandths.
const LEAST_OF_LIMIT: u64 = 800;
/// Over one event per transaction.
const LEAST_OVER_SINGLE: u64 = 15 * ONE_TIMES;
/// So many of the events are enough to measure one per transaction.
const SINGLE_SHARE: u64 = 50;

/// The figures of all rounds.
#[derive(Default)]
struct Measured {
    rates: Samples,
    limits: Samples,
    singles: Samples,
    batches: Samples,
    connections: Samples,
}

pub(crate) async fn run(bench: &Bench, people: People) -> Result<Outcome> {
    let events = bench.sizes.events;
    let name = if people == ONE { "S2" } else { "S1" };
    let mut all = Measured::default();
    for round in 1..=bench.sizes.repeat {
        bench.phase(&format!("{name}: backlog, round {round}"))?;
        let drained = bench.fresh_backlog(people, events, LOG).await?;
        all.rates.add(drained.rate());
        all.batches.add(drained.batch);
        all.connections.add(u64::from(drained.connections));

        bench.phase(&format!("{name}: limit, round {round}"))?;
        let shape = Shape {
            batch: drained.batch.max(1),
            connections: drained.connections.max(1),
        };
        add_limits(bench, people, shape, &mut all).await?;
    }

    let what = format!("ingest of a backlog, {} account(s)", people.accounts);
    let note = format!(
        "{events} events, batches of {}, {} connections in both",
        all.batches.show(Unit::Count),
        all.connections.show(Unit::Count)
    );
    let mut lines = vec![
        Line::new(what, Unit::PerSecond, all.rates.clone())
            .against(all.limits)
            .target(Target::RatioAtLeast(LEAST_OF_LIMIT))
            .note(note),
    ];
    if people != ONE {
        let what = "the same beside one event per transaction";
        lines.push(
            Line::new(what, Unit::PerSecond, all.rates)
                .against(all.singles)
                .target(Target::RatioAtLeast(LEAST_OVER_SINGLE)),
        );
    }
    Ok(lines.into())
}

/// Measures the limit with this shape, and that of one event per transaction on one connection.
async fn add_limits(bench: &Bench, people: People, shape: Shape, all: &mut Measured) -> Result<()> {
    let events = bench.sizes.events;
    let more = events / SINGLE_SHARE;
    let alone = Shape {
        batch: 1,
        connections: 1,
    };

    let database = bench.stage.database(people).await?;
    let rate = async |database: &Database, first, count, shape| {
        let time = limit::run(database, people, first, count, shape).await?;
        anyhow::Ok(per_second(count, time))
    };
    all.limits.add(rate(&database, 0, events, shape).await?);
    all.singles.add(rate(&database, events, more, alone).await?);

    database.check(events + more).await?;
    bench.stage.drop(database).await
}
