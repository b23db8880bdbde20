//! S8: trades over HTTP, each with an idempotency key, beside pgbench running the same statements as one script.

use crate::bench::{Bench, LOG, ONE, Outcome};
use crate::desks;
use crate::figure::{Line, Samples, Target, Unit};
use crate::pgbench;
use crate::stage::Database;
use crate::wrk::{self, Answered, Ask, Load};
use anyhow::{Result, ensure};

const CONNECTIONS: u32 = 32;
/// Of pgbench's rate, in thousandths.
const LEAST_OF_PGBENCH: u64 = 500;
/// The statements of one trade.
const SCRIPT: &str = include_str!("log.sql");

pub(crate) async fn run(bench: &Bench) -> Result<Outcome> {
    let folder = bench.stage.files();
    let time = bench.sizes.load_time();
    let database = bench.stage.database(ONE).await?;
    let api = bench.stage.start_api(&database, LOG).await?;

    bench.phase("S8: tradings to trade on")?;
    let desks = desks::make(&api, &database).await?;
    let file = desks::write(&desks, folder)?;
    let stored = desks::store(&desks, &database).await?;
    let scripts = [format!("\\set desks {stored}\n{SCRIPT}")];

    let mut rates = Samples::default();
    let mut limits = Samples::default();
    let mut p99 = Samples::default();
    for round in 1..=bench.sizes.repeat {
        bench.phase(&format!("S8: trades, round {round}"))?;
        let load = Load {
            ask: Ask::Log,
            connections: CONNECTIONS,
            time,
            rest_micros: 0,
            what: &file.to_string_lossy(),
            token: "-",
        };
        let answered = trade(bench, &database, &api.url(), &load).await?;
        rates.add(answered.rate());
        p99.add(answered.p99);

        bench.phase(&format!("S8: pgbench, round {round}"))?;
        limits.add(pgbench::rate(&database, folder, &scripts, pgbench::CLIENTS, time).await?);
    }
    drop(api);
    database.verify().await?;
    bench.stage.drop(database).await?;

    let note = format!(
        "{CONNECTIONS} connections, {stored} tradings; p99 {}",
        p99.show(Unit::Micros)
    );
    let line = Line::new("POST /v1/trading-logs, type long", Unit::PerSecond, rates)
        .against(limits)
        .target(Target::RatioAtLeast(LEAST_OF_PGBENCH))
        .note(note);
    Ok(vec![line].into())
}

/// Trades for a while; every trade that was answered must be in the books.
async fn trade(bench: &Bench, database: &Database, url: &str, load: &Load<'_>) -> Result<Answered> {
    let before = logs(database).await?;
    let answered = wrk::ask(url, bench.stage.files(), load).await?;
    let written = logs(database).await? - before;

    // Those under way when the time was over may have been done.
    let most = answered.requests + u64::from(CONNECTIONS);
    ensure!(
        (answered.requests..=most).contains(&written),
        "{} trades were answered, {written} are in the books",
        answered.requests
    );
    Ok(answered)
}

async fn logs(database: &Database) -> Result<u64> {
    let count: i64 = sqlx::query_scalar("SELECT count(*) FROM trading_logs WHERE type = 'long'")
        .fetch_one(&database.pool)
        .await?;
    Ok(u64::try_from(count)?)
}
