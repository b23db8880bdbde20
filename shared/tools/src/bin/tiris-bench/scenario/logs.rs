//! S8: trades over HTTP, each with an idempotency key, beside pgbench running the same statements as one script.

use super::{Bench, LOG, ONE, Outcome};
use crate::api::Api;
use crate::desks;
use crate::figure::{Line, Samples, Target, Unit};
use crate::pgbench;
use crate::stage::Database;
use crate::wrk::{self, Ask, Load};
use anyhow::{Result, ensure};
use indicatif::ProgressBar;

const CONNECTIONS: u32 = 32;
/// Of pgbench's rate, in thousandths.
const LEAST_OF_PGBENCH: u64 = 500;
/// The statements of one trade.
const SCRIPT: &str = include_str!("log.sql");

pub(crate) async fn run(bench: &Bench) -> Result<Outcome> {
    let (folder, time) = (bench.stage.files(), bench.sizes.load_time());
    let database = bench.stage.database(ONE).await?;
    let api = Api::start(&bench.stage, &database, LOG).await?;
    bench.phase("S8: tradings to trade on")?;
    let desks = desks::make(&api, &database).await?;
    let file = desks::write(&desks, folder)?;
    let scripts = [format!(
        "\\set desks {}\n{SCRIPT}",
        desks::store(&desks, &database).await?
    )];
    let (mut rates, mut limits, mut p99) =
        (Samples::default(), Samples::default(), Samples::default());
    for round in 1..=bench.sizes.repeat {
        bench.phase(&format!("S8: trades, round {round}"))?;
        let what = &file.to_string_lossy();
        let load = Load {
            ask: Ask::Log,
            connections: CONNECTIONS,
            time,
            rest_micros: 0,
            what,
            token: "-",
        };
        let before = logs(&database).await?;
        let answered = wrk::ask(&api.url, folder, &load).await?;
        let written = logs(&database).await? - before;
        // Those under way when the time was over may have been done.
        let most = answered.requests + u64::from(CONNECTIONS);
        ensure!(
            (answered.requests..=most).contains(&written),
            "{} trades were answered, {written} are in the books",
            answered.requests
        );
        rates.add(answered.rate());
        p99.add(answered.p99);
        bench.phase(&format!("S8: pgbench, round {round}"))?;
        limits.add(pgbench::rate(&database, folder, &scripts, pgbench::CLIENTS, time).await?);
    }
    drop(api);
    let report = tiris_migrations::verify(&database.url, &ProgressBar::hidden()).await?;
    ensure!(report.is_clean(), "the books are wrong: {report}");
    bench.stage.drop(database).await?;
    let note = format!(
        "{CONNECTIONS} connections, {} tradings; p99 {}",
        desks.len(),
        p99.show(Unit::Micros)
    );
    let line = Line::new("POST /v1/trading-logs, type long", Unit::PerSecond, rates)
        .against(limits)
        .note(note);
    Ok(vec![line.target(Target::RatioAtLeast(LEAST_OF_PGBENCH))].into())
}

async fn logs(database: &Database) -> Result<u64> {
    let count: i64 = sqlx::query_scalar("SELECT count(*) FROM trading_logs WHERE type = 'long'")
        .fetch_one(&database.pool)
        .await?;
    Ok(count.unsigned_abs())
}
