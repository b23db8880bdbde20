//! S7: pages of a long history over HTTP, the first and one deep inside, beside pgbench asking for the same.

use super::read;
use crate::bench::{Bench, LOG, ONE, Outcome};
use crate::figure::{Line, ONE as ONE_TIMES, Samples, Target, Unit};
use crate::people::{Ids, People};
use crate::stage::Database;
use crate::stored::{self, When};
use crate::{pgbench, statement, wrk};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tiris_tools::ApiClient;

const LIMIT: u64 = 50;
/// Of pgbench's rate, in thousandths.
const LEAST_OF_PGBENCH: u64 = 500;
/// The first page over the deep one.
const MOST_FIRST_OVER_DEEP: u64 = ONE_TIMES * 12 / 10;
/// As far as one may skip; from there on the way is by cursors.
const OFFSET_MAX: u64 = 100_000;
const STRIDE: u64 = 1_000;

/// A page, as it is asked for and as PostgreSQL answers it.
struct Page {
    path: String,
    scripts: [String; 1],
    rates: Samples,
    limits: Samples,
}

pub(crate) async fn run(bench: &Bench) -> Result<Outcome> {
    let rows = bench.sizes.paged;
    let database = bench.stage.database(ONE).await?;
    fill(bench, &database).await?;

    let api = bench.stage.start_api(&database, LOG).await?;
    let token = api.token(&People::email(0)).await?;
    let client = api.client(&token)?;
    let account = People::account_id(0);
    let path = format!("/v1/transactions?limit={LIMIT}&sub_account_id={account}");
    bench.phase("S7: going deep by cursors")?;
    let cursor = cursor_at(&client, rows / 2).await?;
    let deep_path = format!("{path}&cursor={cursor}");
    let mut first = Page::open(bench, &database, &client, path, rows).await?;
    let mut deep = Page::open(bench, &database, &client, deep_path, rows - rows / 2).await?;

    for round in 1..=bench.sizes.repeat {
        for page in [&mut first, &mut deep] {
            bench.phase(&format!("S7: page, round {round}"))?;
            page.measure(bench, &database, &api.url(), &token).await?;
        }
    }
    drop(api);
    bench.stage.drop(database).await?;

    let over_deep = Line::new(
        "first page over deep page",
        Unit::PerSecond,
        first.rates.clone(),
    )
    .against(deep.rates.clone())
    .target(Target::RatioAtMost(MOST_FIRST_OVER_DEEP));
    Ok(vec![
        first.line("first").note(format!(
            "{} connections, {LIMIT} rows of {rows}",
            read::CONNECTIONS
        )),
        deep.line("deep")
            .note(format!("behind {} rows, by cursor", rows / 2)),
        over_deep,
    ]
    .into())
}

/// Books the history of the account.
async fn fill(bench: &Bench, database: &Database) -> Result<()> {
    let rows = bench.sizes.paged;
    let phase = format!("S7: an account with {rows} rows");
    bench.view.phase(&phase, rows);
    let show = |done| bench.view.progress(done);
    stored::book(database, ONE, 0..rows, Ids::Ordered, When::Now, show).await?;

    database.settle().await?;
    database.check(rows).await
}

impl Page {
    /// Prepares a page whose newest row has the sequence `newest`.
    async fn open(
        bench: &Bench,
        database: &Database,
        client: &ApiClient,
        path: String,
        newest: u64,
    ) -> Result<Self> {
        check_page(client, &path, newest).await?;

        let email = People::email(0);
        let script =
            statement::of_request(&bench.stage, database, &email, &path, "transactions").await?;

        Ok(Self {
            path,
            scripts: [script],
            rates: Samples::default(),
            limits: Samples::default(),
        })
    }

    async fn measure(
        &mut self,
        bench: &Bench,
        database: &Database,
        url: &str,
        token: &str,
    ) -> Result<()> {
        let folder = bench.stage.files();
        let time = bench.sizes.load_time();
        let load = read::load(&self.path, token, time, 0);
        self.rates.add(wrk::ask(url, folder, &load).await?.rate());

        let limit = pgbench::rate(database, folder, &self.scripts, pgbench::CLIENTS, time).await?;
        self.limits.add(limit);
        Ok(())
    }

    fn line(self, name: &str) -> Line {
        let what = format!("GET /v1/transactions, {name} page");
        Line::new(what, Unit::PerSecond, self.rates)
            .against(self.limits)
            .target(Target::RatioAtLeast(LEAST_OF_PGBENCH))
    }
}

/// The cursor behind so many rows, reached as a client would.
async fn cursor_at(client: &ApiClient, depth: u64) -> Result<String> {
    let account = People::account_id(0);
    let mut at = depth.min(OFFSET_MAX);
    let mut place = format!("offset={}&limit=1", at - 1);

    loop {
        let path = format!("/v1/transactions?sub_account_id={account}&{place}");
        let page: Value = client.get(&path).await?;
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
async fn check_page(client: &ApiClient, path: &str, newest: u64) -> Result<()> {
    let page: Value = client.get(path).await?;
    let rows = page["transactions"]
        .as_array()
        .context("a page without transactions")?;
    let sequences: Vec<Option<u64>> = rows.iter().map(|row| row["sequence"].as_u64()).collect();
    let expected: Vec<Option<u64>> = (0..LIMIT).map(|at| Some(newest - at)).collect();
    ensure!(
        sequences == expected,
        "{path} answers other rows than expected: {sequences:?}"
    );
    Ok(())
}
