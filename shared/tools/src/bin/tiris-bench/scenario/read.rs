//! S6: one account over HTTP, beside pgbench asking the same of the database.

use crate::bench::{Bench, LOG, MANY, Outcome};
use crate::figure::{Line, Samples, Target, Unit};
use crate::people::People;
use crate::wrk::{self, Ask, Load};
use crate::{pgbench, statement};
use anyhow::{Result, ensure};
use serde_json::Value;
use std::time::Duration;

pub(super) const CONNECTIONS: u32 = 64;
/// Of pgbench's rate, in thousandths.
const LEAST_OF_PGBENCH: u64 = 300;
const P99_MOST_MICROS: u64 = 15_000;
/// What an answer at half load takes at least, as far as a connection's rest is concerned.
const ANSWER_MICROS: u64 = 500;

pub(crate) async fn run(bench: &Bench) -> Result<Outcome> {
    let folder = bench.stage.files();
    let time = bench.sizes.load_time();
    let database = bench.stage.database(MANY).await?;
    database.settle().await?;
    let path = path();
    let email = People::email(0);
    let script =
        statement::of_request(&bench.stage, &database, &email, &path, "sub_accounts").await?;
    let api = bench.stage.start_api(&database, LOG).await?;
    let token = api.token(&email).await?;
    let account: Value = api.client(&token)?.get(&path).await?;
    ensure!(
        account["id"] == People::account_id(0).to_string(),
        "another account was answered: {account}"
    );

    let mut rates = Samples::default();
    let mut limits = Samples::default();
    let scripts = [script];
    for round in 1..=bench.sizes.repeat {
        bench.phase(&format!("S6: one account, round {round}"))?;
        let answered = wrk::ask(&api.url(), folder, &load(&path, &token, time, 0)).await?;
        rates.add(answered.rate());

        bench.phase(&format!("S6: pgbench, round {round}"))?;
        limits.add(pgbench::rate(&database, folder, &scripts, pgbench::CLIENTS, time).await?);
    }

    bench.phase("S6: half the load")?;
    let period = u64::from(CONNECTIONS) * 2_000_000 / rates.median().max(1);
    let rest = period.saturating_sub(ANSWER_MICROS);
    let half = wrk::ask(&api.url(), folder, &load(&path, &token, time, rest)).await?;
    drop(api);
    bench.stage.drop(database).await?;

    let clients = pgbench::CLIENTS;
    let p99 = [half.p99].into_iter().collect();
    Ok(vec![
        Line::new("GET /v1/sub-accounts/{id}", Unit::PerSecond, rates)
            .against(limits)
            .target(Target::RatioAtLeast(LEAST_OF_PGBENCH))
            .note(format!(
                "{CONNECTIONS} connections; pgbench with {clients} sends the same statement"
            )),
        Line::new("its p99 at half that load", Unit::Micros, p99)
            .target(Target::AtMost(P99_MOST_MICROS))
            .note(format!(
                "at {}, p50 {}",
                Unit::PerSecond.show(half.rate()),
                Unit::Micros.show(half.p50)
            )),
    ]
    .into())
}

/// The account that is read, which is the first user's.
pub(super) fn path() -> String {
    format!("/v1/sub-accounts/{}", People::account_id(0))
}

/// One path, asked for by all connections.
pub(super) fn load<'a>(
    path: &'a str,
    token: &'a str,
    time: Duration,
    rest_micros: u64,
) -> Load<'a> {
    Load {
        ask: Ask::Get,
        connections: CONNECTIONS,
        time,
        rest_micros,
        what: path,
        token,
    }
}
