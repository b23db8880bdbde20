//! S8: trades over HTTP, each with an idempotency key, beside pgbench with the same statements as one script.

use crate::figure::{Line, Samples, Target, Unit};
use crate::pgbench;
use crate::site::{Bench, LOG, ONE, Outcome};
use crate::stage::Database;
use crate::traders::{self, TRADERS};
use crate::wrk::{self, Load, Request, Responses};
use anyhow::{Result, ensure};
use tiris_tools::{count_rows, verify_books};

const CONNECTIONS: u32 = 32;
/// Minimum rate relative to that of pgbench, in thousandths.
const LEAST_OF_PGBENCH: u64 = 500;
/// The statements of a trade.
const SCRIPT: &str = include_str!("log.sql");
const TRADES: &str = "trading_logs WHERE type = 'long'";

pub(crate) async fn run(bench: &Bench) -> Result<Outcome> {
    let database = bench.stage.database(ONE).await?;
    let api = bench.stage.start_api(&database.url, LOG).await?;

    bench.phase("S8: creating tradings")?;
    let traders = traders::create(bench, &api, &database).await?;
    let script = format!("\\set traders {TRADERS}\n{SCRIPT}");

    let mut rates = Samples::default();
    let mut limits = Samples::default();
    let mut p99 = Samples::default();
    for round in 1..=bench.sizes.repeat {
        bench.phase(&format!("S8: trades, round {round}"))?;
        let responses = trade(bench, &database, &api.url(), &traders).await?;
        rates.add(responses.rate());
        p99.add(responses.p99);

        bench.phase(&format!("S8: pgbench, round {round}"))?;
        limits.add(pgbench::rate(bench, &database, &script).await?);
    }
    drop(api);
    verify_books(&database.url).await?;
    bench.stage.drop(database).await?;

    let note = format!(
        "{CONNECTIONS} connections, {TRADERS} tradings; p99 {}",
        p99.show(Unit::Micros)
    );
    let line = Line::rate("POST /v1/trading-logs, type long", rates, limits)
        .target(Target::RatioAtLeast(LEAST_OF_PGBENCH))
        .note(note);
    Ok(vec![line].into())
}

/// Trades for the time of a load. Every trade that was answered must be in the books.
async fn trade(bench: &Bench, database: &Database, url: &str, traders: &str) -> Result<Responses> {
    let before = count_rows(&database.pool, TRADES).await?;
    let load = Load {
        request: Request::Log { traders },
        connections: CONNECTIONS,
        time: bench.sizes.load_time(),
        pause_micros: 0,
    };
    let responses = wrk::run(bench, url, load).await?;
    let written = count_rows(&database.pool, TRADES).await? - before;

    // Requests in flight at the end may have been committed.
    let most = responses.requests + u64::from(CONNECTIONS);
    ensure!(
        (responses.requests..=most).contains(&written),
        "{} trades were answered, {written} are in the books",
        responses.requests
    );
    Ok(responses)
}
