//! S6: one account over HTTP, beside pgbench with the same statement.

use crate::figure::{Line, Samples, Target, Unit};
use crate::site::{Bench, LOG, MANY, Outcome};
use crate::wrk::{self, Load, Request};
use crate::{pgbench, statement};
use anyhow::{Result, ensure};
use serde_json::Value;
use std::time::Duration;
use tiris_tools::Population;

pub(super) const CONNECTIONS: u32 = 64;
/// Minimum rate relative to that of pgbench, in thousandths.
const LEAST_OF_PGBENCH: u64 = 300;
const P99_MOST_MICROS: u64 = 15_000;
/// The minimum time of a response at half the load, which shortens the pause of a connection.
const RESPONSE_MICROS: u64 = 500;

pub(crate) async fn run(bench: &Bench) -> Result<Outcome> {
    let database = bench.stage.database(MANY).await?;
    database.vacuum().await?;
    let path = path();
    let script = statement::of_request(bench, &database, &path, "sub_accounts").await?;
    let api = bench.stage.start_api(&database.url, LOG).await?;
    let token = api.token(&Population::email(0)).await?;
    let account: Value = api.client(&token)?.get(&path).await?;
    ensure!(
        account["id"] == Population::account_id(0).to_string(),
        "{path} returned another account: {account}"
    );

    let load = load(&path, &token, bench.sizes.load_time());
    let mut rates = Samples::default();
    let mut limits = Samples::default();
    for round in 1..=bench.sizes.repeat {
        bench.phase(&format!("S6: one account, round {round}"))?;
        rates.add(wrk::run(bench, &api.url(), load).await?.rate());

        bench.phase(&format!("S6: pgbench, round {round}"))?;
        limits.add(pgbench::rate(bench, &database, &script).await?);
    }

    bench.phase("S6: half the load")?;
    let period = u64::from(CONNECTIONS) * 2_000_000 / rates.median().max(1);
    let slow = Load {
        pause_micros: period.saturating_sub(RESPONSE_MICROS),
        ..load
    };
    let half = wrk::run(bench, &api.url(), slow).await?;
    drop(api);
    bench.stage.drop(database).await?;

    let clients = pgbench::CLIENTS;
    let note =
        format!("{CONNECTIONS} connections; pgbench with {clients} sends the same statement");
    let half_note = format!(
        "at {}, p50 {}",
        Unit::PerSecond.show(half.rate()),
        Unit::Micros.show(half.p50)
    );
    let p99 = Samples(vec![half.p99]);
    Ok(vec![
        Line::rate("GET /v1/sub-accounts/{id}", rates, limits)
            .target(Target::RatioAtLeast(LEAST_OF_PGBENCH))
            .note(note),
        Line::new("its p99 at half that load", Unit::Micros, p99)
            .target(Target::AtMost(P99_MOST_MICROS))
            .note(half_note),
    ]
    .into())
}

/// Returns the path of the first user's account.
pub(super) fn path() -> String {
    format!("/v1/sub-accounts/{}", Population::account_id(0))
}

/// Returns the load of one path on all connections, without pauses.
pub(super) fn load<'a>(path: &'a str, token: &'a str, time: Duration) -> Load<'a> {
    Load {
        request: Request::Get { path, token },
        connections: CONNECTIONS,
        time,
        pause_micros: 0,
    }
}
