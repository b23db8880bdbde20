//! S1 and S2: a backlog, beside PostgreSQL with the same rows and beside one event per transaction.

use crate::figure::{Line, Samples, THOUSAND, Target, Unit};
use crate::limit;
use crate::publish::Load;
use crate::site::{Bench, LOG, ONE, Outcome};
use crate::worker::Drained;
use anyhow::Result;
use tiris_tools::{EventIds, Population};

/// Minimum rate relative to the limit, in thousandths.
const LEAST_OF_LIMIT: u64 = 800;
/// Minimum rate relative to one event per transaction, in thousandths.
const LEAST_OVER_SINGLE: u64 = 15 * THOUSAND;
/// This fraction of the events suffices for one event per transaction.
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

pub(crate) async fn run(bench: &Bench, population: Population) -> Result<Outcome> {
    let events = bench.sizes.events;
    let name = if population == ONE { "S2" } else { "S1" };
    let mut all = Measured::default();
    for round in 1..=bench.sizes.repeat {
        bench.phase(&format!("{name}: backlog, round {round}"))?;
        let drained = bench.fresh_backlog(population, events, LOG).await?;
        all.rates.add(drained.rate());
        all.batches.add(drained.batch);
        all.connections.add(drained.connections);

        bench.phase(&format!("{name}: limit, round {round}"))?;
        add_limits(bench, population, &drained, &mut all).await?;
    }

    let what = format!("ingest of a backlog, {} account(s)", population.accounts);
    let note = format!(
        "{events} events, batches of {}, {} connections in both",
        all.batches.show(Unit::Count),
        all.connections.show(Unit::Count)
    );
    let mut lines = vec![
        Line::rate(what, all.rates.clone(), all.limits)
            .target(Target::RatioAtLeast(LEAST_OF_LIMIT))
            .note(note),
    ];
    if population != ONE {
        let what = "the same, compared with one event per transaction";
        let line = Line::rate(what, all.rates, all.singles);
        lines.push(line.target(Target::RatioAtLeast(LEAST_OVER_SINGLE)));
    }
    Ok(lines.into())
}

/// Measures the limit in the shape of the backlog, and that of one event per transaction on one connection.
async fn add_limits(
    bench: &Bench,
    population: Population,
    drained: &Drained,
    all: &mut Measured,
) -> Result<()> {
    let events = bench.sizes.events;
    let end = events + events / SINGLE_SHARE;
    let batch = drained.batch.max(1);
    let connections = u32::try_from(drained.connections.max(1))?;

    let load = Load::Movements(population, EventIds::Ordered);

    let database = bench.stage.database(population).await?;
    let limit = limit::rate(&database, load, 0..events, batch, connections).await?;
    all.limits.add(limit);
    let single = limit::rate(&database, load, events..end, 1, 1).await?;
    all.singles.add(single);

    database.check(end).await?;
    bench.stage.drop(database).await
}
