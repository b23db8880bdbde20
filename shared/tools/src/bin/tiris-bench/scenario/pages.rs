//! S7: the first and a deep page of a long history over HTTP, beside pgbench with the same statements.

use super::read;
use crate::figure::{Line, Samples, THOUSAND, Target};
use crate::site::{Bench, LOG, ONE, Outcome, Site};
use crate::stage::Database;
use crate::stored::{self, When};
use crate::{pgbench, statement, wrk};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tiris_tools::{ApiClient, EventIds, Population};

const LIMIT: u64 = 50;
/// Minimum rate relative to that of pgbench, in thousandths.
const LEAST_OF_PGBENCH: u64 = 500;
/// Maximum rate of the first page relative to the deep one, in thousandths.
const MOST_FIRST_OVER_DEEP: u64 = THOUSAND * 12 / 10;
/// The greatest offset of the API; deeper rows need cursors.
const OFFSET_MAX: u64 = 100_000;
const STRIDE: u64 = 1_000;

/// A page and the script of its statement.
struct Page {
    path: String,
    script: String,
    rates: Samples,
    limits: Samples,
}

pub(crate) async fn run(bench: &Bench) -> Result<Outcome> {
    let rows = bench.sizes.paged;
    bench
        .view
        .phase(&format!("S7: an account with {rows} rows"), rows);
    let mut site = Site::open(&bench.stage, ONE).await?;
    stored::book(&mut site, rows, EventIds::Ordered, When::Now, &bench.view).await?;
    site.database.vacuum().await?;

    let database = &site.database;
    let api = bench.stage.start_api(&database.url, LOG).await?;
    let token = api.token(&Population::email(0)).await?;
    let client = api.client(&token)?;
    let account = Population::account_id(0);
    let path = format!("/v1/transactions?limit={LIMIT}&sub_account_id={account}");
    bench.phase("S7: following cursors to the deep page")?;
    let cursor = cursor_at(&client, rows / 2).await?;
    let deep_path = format!("{path}&cursor={cursor}");
    let mut first = Page::open(bench, database, &client, path, rows).await?;
    let mut deep = Page::open(bench, database, &client, deep_path, rows - rows / 2).await?;

    for round in 1..=bench.sizes.repeat {
        for page in [&mut first, &mut deep] {
            bench.phase(&format!("S7: page, round {round}"))?;
            let load = read::load(&page.path, &token, bench.sizes.load_time());
            page.rates
                .add(wrk::run(bench, &api.url(), load).await?.rate());
            let limit = pgbench::rate(bench, database, &page.script).await?;
            page.limits.add(limit);
        }
    }
    drop(api);
    site.check_and_close(&bench.stage).await?;

    let what = "first page over deep page";
    let over_deep = Line::rate(what, first.rates.clone(), deep.rates.clone())
        .target(Target::RatioAtMost(MOST_FIRST_OVER_DEEP));
    let connections = read::CONNECTIONS;
    let first_note = format!("{connections} connections, {LIMIT} rows of {rows}");
    let deep_note = format!("behind {} rows, by cursor", rows / 2);
    Ok(vec![
        first.line("first").note(first_note),
        deep.line("deep").note(deep_note),
        over_deep,
    ]
    .into())
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
        Ok(Self {
            script: statement::of_request(bench, database, &path, "transactions").await?,
            path,
            rates: Samples::default(),
            limits: Samples::default(),
        })
    }

    fn line(self, name: &str) -> Line {
        let what = format!("GET /v1/transactions, {name} page");
        Line::rate(what, self.rates, self.limits).target(Target::RatioAtLeast(LEAST_OF_PGBENCH))
    }
}

/// Returns the cursor after `depth` rows, reached as a client would.
async fn cursor_at(client: &ApiClient, depth: u64) -> Result<String> {
    let account = Population::account_id(0);
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

/// Checks that the sequences of a page fall from `newest` on.
async fn check_page(client: &ApiClient, path: &str, newest: u64) -> Result<()> {
    let page: Value = client.get(path).await?;
    let rows = page["transactions"]
        .as_array()
        .context("a page without transactions")?;
    let sequences = rows.iter().map(|row| row["sequence"].as_u64());
    let expected = (0..LIMIT).map(|at| Some(newest - at));
    ensure!(
        sequences.eq(expected),
        "{path} returns unexpected rows: {rows:?}"
    );
    Ok(())
}
