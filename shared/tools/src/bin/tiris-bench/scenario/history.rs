//! H24: a backlog into tables with 12 and 24 months of history, beside empty ones; also with TimescaleDB where the server
//! has it.

use crate::figure::{Line, Samples, Target};
use crate::site::{Bench, LOG, MANY, Outcome, Site};
use crate::stage::Stage;
use crate::stored::{self, When};
use anyhow::Result;
use tiris_tools::{Curve, EventIds, Series};

/// Minimum rate relative to that into empty tables, in thousandths; repetitions differ by as much.
const LEAST_OF_EMPTY: u64 = 950;
/// Background workers would keep the template from being copied.
const WITH_TIMESCALE: [&str; 2] = [
    "shared_preload_libraries=timescaledb",
    "timescaledb.max_background_workers=0",
];
const MONTHS: [u32; 3] = [0, 12, 24];

/// The forms of the history tables.
const PARTITIONS: &str = "native partitions";
const HYPERTABLES: &str = "TimescaleDB";

pub(crate) async fn run(bench: &Bench) -> Result<Outcome> {
    let stage = &bench.stage;
    let mut series = Vec::new();
    let mut lines = vec![measure(bench, stage, PARTITIONS, &mut series).await?];

    let is_installed: bool = sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM pg_available_extensions WHERE name = 'timescaledb')",
    )
    .fetch_one(&stage.admin)
    .await?;
    if stage.has_hypertables {
        lines.push(measure(bench, stage, HYPERTABLES, &mut series).await?);
    } else if is_installed {
        bench.phase("H24: a server with TimescaleDB")?;
        let stage = Stage::start(&WITH_TIMESCALE).await?;
        if stage.has_hypertables {
            lines.push(measure(bench, &stage, HYPERTABLES, &mut series).await?);
        }
    }

    let curve = Curve {
        name: "H24".to_owned(),
        title: "Ingest of a backlog by months of history".to_owned(),
        across: "months of history in the tables".to_owned(),
        up: "events/s".to_owned(),
        series,
    };
    let curve = Some(curve);
    Ok(Outcome { lines, curve })
}

/// Measures the lengths of history in turn.
async fn measure(
    bench: &Bench,
    stage: &Stage,
    form: &str,
    series: &mut Vec<Series>,
) -> Result<Line> {
    let mut sites = Vec::new();
    for months in MONTHS {
        bench.phase(&format!("H24: {months} months of history"))?;
        sites.push(prepare(bench, stage, form, months).await?);
    }

    let mut rates: [Samples; 3] = Default::default();
    for round in 1..=bench.sizes.repeat {
        for ((site, rates), months) in sites.iter_mut().zip(&mut rates).zip(MONTHS) {
            bench.phase(&format!("H24: backlog on {months} months, round {round}"))?;
            let events = bench.sizes.events / 2;
            let drained = site.backlog(stage, events, EventIds::Ordered, LOG).await?;
            rates.add(drained.rate());
        }
    }

    bench.phase("H24: checking the books")?;
    for site in sites {
        site.check_and_close(stage).await?;
    }

    let medians = rates.iter().map(Samples::median);
    series.push(Series {
        name: form.to_owned(),
        points: MONTHS.map(u64::from).into_iter().zip(medians).collect(),
    });
    let [empty, _, full] = rates;
    let what = format!("ingest with 24 months of history, {form}");
    Ok(Line::rate(what, full, empty)
        .note("the limit is the same into empty tables")
        .target(Target::RatioAtLeast(LEAST_OF_EMPTY)))
}

/// Opens a site with this many months of history.
async fn prepare(bench: &Bench, stage: &Stage, form: &str, months: u32) -> Result<Site> {
    let mut site = Site::open(stage, MANY).await?;
    let pool = &site.database.pool;
    if form == PARTITIONS && stage.has_hypertables {
        sqlx::query("SELECT history_to_native()")
            .execute(pool)
            .await?;
    }
    sqlx::query("SELECT ensure_partitions(now() - $1 * interval '1 month', 3)")
        .bind(i32::try_from(months)?)
        .execute(pool)
        .await?;

    for ago in (1..=months).rev() {
        let when = When::MonthsAgo(ago);
        let count = bench.sizes.month;
        stored::book(&mut site, count, EventIds::Ordered, when, &bench.view).await?;
    }
    site.database.vacuum().await?;
    Ok(site)
}
