//! S4: the same backlog while more and more is stored, by the ids bots give their events.

use super::{Bench, LOG, MANY, Outcome, Site};
use crate::figure::{Curve, Line, Samples, Series, Target, Unit};
use crate::people::Ids;
use crate::stored::{self, When};
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
        let grown = grow(bench, ids, name).await?;
        let line = Line::new(
            format!("ingest with {} rows stored, {name}", bench.sizes.stored),
            Unit::PerSecond,
            grown.full,
        )
        .against(grown.empty)
        .note("the limit is the same with nothing stored");
        let target = Target::RatioAtLeast(LEAST_OF_EMPTY);
        outcome.lines.push(if ids == Ids::Ordered {
            line.target(target)
        } else {
            line
        });
        series.push(Series {
            name: name.to_owned(),
            points: grown.points,
        });
    }
    outcome.curves.push(Curve {
        name: "S4".to_owned(),
        title: "Ingest of a backlog while the tables grow".to_owned(),
        across: "transactions, logs and processed events stored, each".to_owned(),
        upward: "events/s".to_owned(),
        series,
    });
    Ok(outcome)
}

struct Grown {
    empty: Samples,
    full: Samples,
    points: Vec<(u64, u64)>,
}

async fn grow(bench: &Bench, ids: Ids, name: &str) -> Result<Grown> {
    let mut site = bench.site(MANY).await?;
    let (mut points, mut all) = (Vec::new(), Vec::new());
    for level in 0..=LEVELS {
        let wanted = bench.sizes.stored * level / LEVELS;
        if let Some(missing) = wanted
            .checked_sub(site.events)
            .filter(|missing| *missing > 0)
        {
            bench.phase(&format!("S4: storing up to {wanted} rows, {name}"))?;
            bench
                .view
                .phase(&format!("S4: storing up to {wanted} rows, {name}"), missing);
            let range = (site.events, missing);
            stored::book(&site.database, site.people, range, ids, When::Now, |done| {
                bench.view.progress(done)
            })
            .await?;
            site.events += missing;
            site.database.settle().await?;
        }
        bench.phase(&format!("S4: backlog on {wanted} rows, {name}"))?;
        let samples = measure(bench, &mut site, ids).await?;
        points.push((wanted, samples.median()));
        all.push(samples);
    }
    bench.phase("S4: checking the books")?;
    site.database.check(site.events).await?;
    site.close(&bench.stage).await?;
    let (empty, full) = (
        all.first().cloned().unwrap_or_default(),
        all.pop().unwrap_or_default(),
    );
    Ok(Grown {
        empty,
        full,
        points,
    })
}

async fn measure(bench: &Bench, site: &mut Site, ids: Ids) -> Result<Samples> {
    let mut samples = Samples::default();
    for _ in 0..bench.sizes.repeat {
        samples.add(
            site.backlog(&bench.stage, bench.sizes.events / 2, ids, LOG)
                .await?
                .rate(),
        );
    }
    Ok(samples)
}
