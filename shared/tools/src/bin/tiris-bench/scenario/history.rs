//! H24: a backlog into tables with 12 and 24 months of history, beside the same into empty ones; with TimescaleDB as
//! well, where the server has it.

use crate::bench::{Bench, LOG, MANY, Outcome, Site};
use crate::figure::{Curve, Line, Samples, Series, Target, Unit};
use crate::people::Ids;
use crate::stage::Stage;
use crate::stored::When;
use anyhow::Result;

/// Of the rate into empty tables, in thousandths: what repetitions differ by.
const LEAST_OF_EMPTY: u64 = 950;
/// Background workers would keep the template from being copied.
const WITH_TIMESCALE: [&str; 2] = [
    "shared_preload_libraries=timescaledb",
    "timescaledb.max_background_workers=0",
];
const MONTHS: [u32; 3] = [0, 12, 24];

/// Makes native partitions of the history of one database.
const TO_NATIVE: &str = "SELECT history_to_native()";

/// The forms of the history tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Partitions,
    Hypertables,
}

pub(crate) async fn run(bench: &Bench) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    let mut series = Vec::new();
    let plain = measure(bench, &bench.stage, Form::Partitions).await?;
    add("native partitions", plain, &mut outcome, &mut series);

    if bench.stage.has_hypertables().await? {
        let samples = measure(bench, &bench.stage, Form::Hypertables).await?;
        add("TimescaleDB", samples, &mut outcome, &mut series);
    } else if bench.stage.could_have_timescale().await? {
        bench.phase("H24: a server with TimescaleDB")?;
        let stage = Stage::start(&WITH_TIMESCALE).await?;
        if stage.has_hypertables().await? {
            let samples = measure(bench, &stage, Form::Hypertables).await?;
            add("TimescaleDB", samples, &mut outcome, &mut series);
        }
    }

    outcome.curves.push(Curve::of_rates(
        "H24",
        "Ingest of a backlog by months of history",
        "months of history in the tables",
        series,
    ));
    Ok(outcome)
}

fn add(name: &str, samples: [Samples; 3], outcome: &mut Outcome, series: &mut Vec<Series>) {
    let medians = samples.iter().map(Samples::median);
    series.push(Series {
        name: name.to_owned(),
        points: MONTHS.map(u64::from).into_iter().zip(medians).collect(),
    });

    let [empty, _, full] = samples;
    let what = format!("ingest with 24 months of history, {name}");
    outcome.lines.push(
        Line::new(what, Unit::PerSecond, full)
            .against(empty)
            .note("the limit is the same into empty tables")
            .target(Target::RatioAtLeast(LEAST_OF_EMPTY)),
    );
}

/// The rates for each length of history, measured in turn.
async fn measure(bench: &Bench, stage: &Stage, form: Form) -> Result<[Samples; 3]> {
    let mut sites = Vec::new();
    for months in MONTHS {
        bench.phase(&format!("H24: {months} months of history"))?;
        let mut site = Site::open(stage, MANY).await?;
        if form == Form::Partitions && stage.has_hypertables().await? {
            sqlx::query(TO_NATIVE).execute(&site.database.pool).await?;
        }
        fill(bench, &mut site, months).await?;
        sites.push(site);
    }

    let mut rates: [Samples; 3] = Default::default();
    for round in 1..=bench.sizes.repeat {
        for ((site, rates), months) in sites.iter_mut().zip(&mut rates).zip(MONTHS) {
            bench.phase(&format!("H24: backlog on {months} months, round {round}"))?;
            let events = bench.sizes.events / 2;
            let drained = site.backlog(stage, events, Ids::Ordered, LOG).await?;
            rates.add(drained.rate());
        }
    }

    bench.phase("H24: checking the books")?;
    for site in sites {
        site.database.check(site.events).await?;
        site.close(stage).await?;
    }
    Ok(rates)
}

async fn fill(bench: &Bench, site: &mut Site, months: u32) -> Result<()> {
    sqlx::query("SELECT ensure_partitions(now() - $1 * interval '1 month', 3)")
        .bind(i32::try_from(months)?)
        .execute(&site.database.pool)
        .await?;
    for ago in (1..=months).rev() {
        let when = When::MonthsAgo(ago);
        site.store(bench.sizes.month, Ids::Ordered, when, |_| ())
            .await?;
    }
    site.database.settle().await
}
