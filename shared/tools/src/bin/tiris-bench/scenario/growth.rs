//! S4: the same backlog while more and more is stored, by the ids bots give their events.

use crate::bench::{Bench, LOG, MANY, Outcome, Site};
use crate::figure::{Curve, Line, Samples, Series, Target, Unit};
use crate::people::Ids;
use crate::stored::When;
use anyhow::Result;

/// Of the rate with nothing stored, in thousandths.
const LEAST_OF_EMPTY: u64 = 850;
/// How often it is measured on the way to the full size.
const LEVELS: u64 = 4;

pub(crate) async fn run(bench: &Bench) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    let mut series = Vec::new();
    for (ids, name) in [
        (Ids::Ordered, "time-ordered event ids"),
        (Ids::Random, "random event ids"),
    ] {
        let levels = grow(bench, ids, name).await?;
        let rates = |at: Option<&Level>| at.map(|level| level.rates.clone()).unwrap_or_default();
        let what = format!("ingest with {} rows stored, {name}", bench.sizes.stored);
        let mut line = Line::new(what, Unit::PerSecond, rates(levels.last()))
            .against(rates(levels.first()))
            .note("the limit is the same with nothing stored");
        if ids == Ids::Ordered {
            line = line.target(Target::RatioAtLeast(LEAST_OF_EMPTY));
        }

        outcome.lines.push(line);
        series.push(Series {
            name: name.to_owned(),
            points: levels
                .iter()
                .map(|level| (level.stored, level.rates.median()))
                .collect(),
        });
    }

    outcome.curves.push(Curve::of_rates(
        "S4",
        "Ingest of a backlog while the tables grow",
        "transactions, logs and processed events stored, each",
        series,
    ));
    Ok(outcome)
}

/// The rates with so many rows stored.
struct Level {
    stored: u64,
    rates: Samples,
}

async fn grow(bench: &Bench, ids: Ids, name: &str) -> Result<Vec<Level>> {
    let mut site = bench.site(MANY).await?;
    let mut levels = Vec::new();
    for level in 0..=LEVELS {
        let stored = bench.sizes.stored * level / LEVELS;
        if site.events < stored {
            store(bench, &mut site, stored, ids, name).await?;
        }

        bench.phase(&format!("S4: backlog on {stored} rows, {name}"))?;
        let mut rates = Samples::default();
        for _ in 0..bench.sizes.repeat {
            let events = bench.sizes.events / 2;
            let drained = site.backlog(&bench.stage, events, ids, LOG).await?;
            rates.add(drained.rate());
        }
        levels.push(Level { stored, rates });
    }

    bench.phase("S4: checking the books")?;
    site.database.check(site.events).await?;
    site.close(&bench.stage).await?;
    Ok(levels)
}

/// Books events until there are `wanted`.
async fn store(bench: &Bench, site: &mut Site, wanted: u64, ids: Ids, name: &str) -> Result<()> {
    let phase = format!("S4: storing up to {wanted} rows, {name}");
    bench.phase(&phase)?;
    bench.view.phase(&phase, wanted - site.events);

    let show = |done| bench.view.progress(done);
    let missing = wanted - site.events;
    site.store(missing, ids, When::Now, show).await?;
    site.database.settle().await
}
