//! S4: the same backlog while the tables grow, with ordered and with random event ids.

use crate::figure::{Line, Samples, Target};
use crate::site::{Bench, LOG, MANY, Outcome, Site};
use crate::stored::{self, When};
use anyhow::Result;
use tiris_tools::{Curve, EventIds, Series};

/// Minimum rate relative to that with empty tables, in thousandths.
const LEAST_OF_EMPTY: u64 = 850;
/// The number of measurements on the way to the full size.
const LEVELS: u64 = 4;

pub(crate) async fn run(bench: &Bench) -> Result<Outcome> {
    let mut lines = Vec::new();
    let mut series = Vec::new();
    for (ids, name) in [
        (EventIds::Ordered, "time-ordered event ids"),
        (EventIds::Random, "random event ids"),
    ] {
        let levels = grow(bench, ids, name).await?;
        let rates = |level: Option<&(u64, Samples)>| level.cloned().unwrap_or_default().1;
        let what = format!("ingest with {} rows stored, {name}", bench.sizes.stored);
        let line = Line::rate(what, rates(levels.last()), rates(levels.first()))
            .note("the limit is the same with empty tables");
        lines.push(match ids {
            EventIds::Ordered => line.target(Target::RatioAtLeast(LEAST_OF_EMPTY)),
            EventIds::Random => line,
        });

        let points = levels.iter();
        series.push(Series {
            name: name.to_owned(),
            points: points
                .map(|(stored, rates)| (*stored, rates.median()))
                .collect(),
        });
    }

    let curve = Curve {
        name: "S4".to_owned(),
        title: "Ingest of a backlog while the tables grow".to_owned(),
        across: "transactions, logs and processed events stored, each".to_owned(),
        up: "events/s".to_owned(),
        series,
    };
    let curve = Some(curve);
    Ok(Outcome { lines, curve })
}

/// Returns the rates at each number of stored rows.
async fn grow(bench: &Bench, ids: EventIds, name: &str) -> Result<Vec<(u64, Samples)>> {
    let mut site = Site::open(&bench.stage, MANY).await?;
    let mut levels = Vec::new();
    for level in 0..=LEVELS {
        let stored = bench.sizes.stored * level / LEVELS;
        if let Some(missing @ 1..) = stored.checked_sub(site.events) {
            let phase = format!("S4: storing up to {stored} rows, {name}");
            bench.phase(&phase)?;
            bench.view.phase(&phase, missing);
            stored::book(&mut site, missing, ids, When::Now, &bench.view).await?;
            site.database.vacuum().await?;
        }

        bench.phase(&format!("S4: backlog on {stored} rows, {name}"))?;
        let mut rates = Samples::default();
        for _ in 0..bench.sizes.repeat {
            let events = bench.sizes.events / 2;
            let drained = site.backlog(&bench.stage, events, ids, LOG).await?;
            rates.add(drained.rate());
        }
        levels.push((stored, rates));
    }

    bench.phase("S4: checking the books")?;
    site.check_and_close(&bench.stage).await?;
    Ok(levels)
}
