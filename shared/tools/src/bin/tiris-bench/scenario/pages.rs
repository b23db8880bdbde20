//! S7: pages of a long history over HTTP, the first and one deep inside, beside pgbench asking for the same.

use super::{Bench, LOG, ONE, Outcome, read};
use crate::api::Api;
use crate::figure::{Line, ONE as ONE_TIMES, Samples, Target, Unit};
use crate::people::{Ids, People};
use crate::stored::{self, When};
use crate::{pgbench, told};
use anyhow::{Context, Result, ensure};

const LIMIT: u64 = 50;
/// Of pgbench's rate, in thousandths.
const LEAST_OF_PGBENCH: u64 = 500;
/// The first page over the deep one.
const MOST_FIRST_OVER_DEEP: u64 = ONE_TIMES * 12 / 10;
/// As far as one may skip; from there on the way is by cursors.
const OFFSET_MAX: u64 = 100_000;
const STRIDE: u64 = 1_000;

pub(crate) async fn run(bench: &Bench) -> Result<Outcome> {
    let rows = bench.sizes.paged;
    bench
        .view
        .phase(&format!("S7: an account with {rows} rows"), rows);
    let database = bench.stage.database(ONE).await?;
    stored::book(&database, ONE, (0, rows), Ids::Ordered, When::Now, |done| {
        bench.view.progress(done)
    })
    .await?;
    database.settle().await?;
    database.check(rows).await?;
    let api = Api::start(&bench.stage, &database, LOG).await?;
    let email = People::email(0);
    let token = api.token(&email).await?;
    let first = format!(
        "/v1/transactions?limit={LIMIT}&sub_account_id={}",
        People::account_id(0)
    );
    bench.phase("S7: going deep by cursors")?;
    let deep = format!(
        "{first}&cursor={}",
        cursor_at(&api, &token, rows / 2).await?
    );
    let mut scripts = Vec::new();
    for (path, newest) in [(&first, rows), (&deep, rows - rows / 2)] {
        check_page(&api, &token, path, newest).await?;
        scripts.push(told::statement(&bench.stage, &database, &email, path, "transactions").await?);
    }
    let (mut rates, mut limits) = (
        [Samples::default(), Samples::default()],
        [Samples::default(), Samples::default()],
    );
    for round in 1..=bench.sizes.repeat {
        for (at, path) in [&first, &deep].into_iter().enumerate() {
            bench.phase(&format!("S7: page, round {round}"))?;
            rates[at].add(
                read::load(bench, &api, (path, &token), bench.sizes.load_time(), 0)
                    .await?
                    .rate(),
            );
            let (folder, time) = (bench.stage.files(), bench.sizes.load_time());
            limits[at].add(
                pgbench::rate(&database, folder, &scripts[at..=at], pgbench::CLIENTS, time).await?,
            );
        }
    }
    drop(api);
    bench.stage.drop(database).await?;
    let [first, deep] = rates;
    let [first_limit, deep_limit] = limits;
    let note = format!("{} connections, {LIMIT} rows of {rows}", read::CONNECTIONS);
    let target = Target::RatioAtLeast(LEAST_OF_PGBENCH);
    Ok(vec![
        Line::new(
            "GET /v1/transactions, first page",
            Unit::PerSecond,
            first.clone(),
        )
        .against(first_limit)
        .target(target)
        .note(note),
        Line::new(
            "GET /v1/transactions, deep page",
            Unit::PerSecond,
            deep.clone(),
        )
        .against(deep_limit)
        .target(target)
        .note(format!("behind {} rows, by cursor", rows / 2)),
        Line::new("first page over deep page", Unit::PerSecond, first)
            .against(deep)
            .target(Target::RatioAtMost(MOST_FIRST_OVER_DEEP)),
    ]
    .into())
}

/// The cursor behind so many rows, reached as a client would.
async fn cursor_at(api: &Api, token: &str, depth: u64) -> Result<String> {
    let account = People::account_id(0);
    let mut at = depth.min(OFFSET_MAX);
    let mut place = format!("offset={}&limit=1", at - 1);
    loop {
        let path = format!("/v1/transactions?sub_account_id={account}&{place}");
        let page = api.get(&path, token).await?;
        let cursor = page["pagination"]["next_cursor"]
            .as_str()
            .context("a page without next_cursor")?
            .to_owned();
        if at == depth {
            return Ok(cursor);
        }
        let stride = STRIDE.min(depth - at);
        at += stride;
        place = format!("cursor={cursor}&limit={stride}");
    }
}

/// That the page is the right one: sequences fall from `newest` on.
async fn check_page(api: &Api, token: &str, path: &str, newest: u64) -> Result<()> {
    let page = api.get(path, token).await?;
    let rows = page["transactions"]
        .as_array()
        .context("a page without transactions")?;
    let sequences: Vec<Option<u64>> = rows.iter().map(|row| row["sequence"].as_u64()).collect();
    let expected: Vec<Option<u64>> = (0..LIMIT).map(|at| Some(newest - at)).collect();
    ensure!(
        sequences == expected,
        "{path} tells other rows than expected: {sequences:?}"
    );
    Ok(())
}
