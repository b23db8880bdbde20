//! S6: one account over HTTP, beside pgbench asking the same of the database.

use super::{Bench, LOG, MANY, Outcome};
use crate::api::Api;
use crate::figure::{Line, Samples, Target, Unit};
use crate::people::People;
use crate::wrk::{self, Answered, Ask, Load};
use crate::{pgbench, told};
use anyhow::{Result, ensure};
use std::time::Duration;

pub(super) const CONNECTIONS: u32 = 64;
/// Of pgbench's rate, in thousandths.
const LEAST_OF_PGBENCH: u64 = 300;
const P99_MOST_MICROS: u64 = 15_000;
/// What an answer at half load takes at least, as far as a connection's rest is concerned.
const ANSWER_MICROS: u64 = 500;

pub(crate) async fn run(bench: &Bench) -> Result<Outcome> {
    let time = bench.sizes.load_time();
    let database = bench.stage.database(MANY).await?;
    database.settle().await?;
    let (path, email) = asked();
    let script = told::statement(&bench.stage, &database, &email, &path, "sub_accounts").await?;
    let api = Api::start(&bench.stage, &database, LOG).await?;
    let token = api.token(&email).await?;
    let answer = api.get(&path, &token).await?;
    ensure!(
        answer["id"] == People::account_id(0).to_string(),
        "another account was told: {answer}"
    );
    let (mut rates, mut limits) = (Samples::default(), Samples::default());
    for round in 1..=bench.sizes.repeat {
        bench.phase(&format!("S6: one account, round {round}"))?;
        rates.add(load(bench, &api, (&path, &token), time, 0).await?.rate());
        bench.phase(&format!("S6: pgbench, round {round}"))?;
        limits.add(
            pgbench::rate(
                &database,
                bench.stage.files(),
                std::slice::from_ref(&script),
                pgbench::CLIENTS,
                time,
            )
            .await?,
        );
    }
    bench.phase("S6: half the load")?;
    let period = u64::from(CONNECTIONS) * 2_000_000 / rates.median().max(1);
    let half = load(
        bench,
        &api,
        (&path, &token),
        time,
        period.saturating_sub(ANSWER_MICROS),
    )
    .await?;
    let note = format!(
        "{CONNECTIONS} connections; pgbench with {} sends the same statement",
        pgbench::CLIENTS
    );
    let lines = vec![
        Line::new("GET /v1/sub-accounts/{id}", Unit::PerSecond, rates)
            .against(limits)
            .target(Target::RatioAtLeast(LEAST_OF_PGBENCH))
            .note(note),
        Line::new(
            "its p99 at half that load",
            Unit::Micros,
            [half.p99].into_iter().collect(),
        )
        .target(Target::AtMost(P99_MOST_MICROS))
        .note(format!(
            "at {}, p50 {}",
            Unit::PerSecond.show(half.rate()),
            Unit::Micros.show(half.p50)
        )),
    ];
    drop(api);
    bench.stage.drop(database).await?;
    Ok(lines.into())
}

/// Which account, and by whom.
pub(super) fn asked() -> (String, String) {
    (
        format!("/v1/sub-accounts/{}", People::account_id(0)),
        People::email(0),
    )
}

pub(super) async fn load(
    bench: &Bench,
    api: &Api,
    (path, token): (&str, &str),
    time: Duration,
    rest_micros: u64,
) -> Result<Answered> {
    let load = Load {
        ask: Ask::Get,
        connections: CONNECTIONS,
        time,
        rest_micros,
        what: path,
        token,
    };
    wrk::ask(&api.url, bench.stage.files(), &load).await
}
