//! The cost of lists: few statements, and the same for a deep page as for the first.

use super::{MANY_MONTHS, MONTHS, ROWS, Recorded, cursor, fill, id};
use crate::bindings::new_binding;
use crate::events::fixtures::store_rejected;
use crate::openapi::operations;
use crate::world::{User, text};
use chrono::{DateTime, Utc};
use sqlx::FromRow;
use tiris_testing::Statement;
use uuid::Uuid;

/// Creates another row of every listed resource.
async fn more(user: &User<'_>, number: i64) {
    let book = user.book(&format!("book {number}"), "10", "10").await;
    user.log(book.trade("long")).await;
    let name = format!("binding {number}");
    let key = format!("K3y{number:012}");
    user.post("/v1/exchange-bindings", new_binding(&name, "kraken", &key))
        .await
        .data();
    store_rejected(user, &book, number, "1").await;
    user.world.user(&format!("user {number}")).await;
}

/// Returns the statements of every list, by path.
async fn statements_of_lists(recorded: &Recorded, root: &User<'_>) -> Vec<(String, Vec<String>)> {
    let mut all = Vec::new();
    for (method, path, _) in operations() {
        let is_file = path == "/v1/stream" || path == "/v1/transactions/export";
        if method != "GET" || path.contains('{') || is_file {
            continue;
        }

        // The first request also loads the session.
        root.get(&path).await.data();
        let found = recorded
            .during(async || drop(root.get(&path).await.data().clone()))
            .await;
        let texts: Vec<String> = found.into_iter().map(|statement| statement.text).collect();
        let counts = texts.iter().any(|text| text.contains("COUNT("));
        assert!(!counts, "{path} counts: {texts:?}");
        all.push((path, texts));
    }
    all
}

#[tokio::test]
async fn lists_need_the_same_statements_for_any_number_of_rows() {
    let recorded = Recorded::start().await;
    let root = recorded.world.admin("root").await;
    more(&root, 1).await;
    let few = statements_of_lists(&recorded, &root).await;

    for number in 2..=9 {
        more(&root, number).await;
    }
    let many = statements_of_lists(&recorded, &root).await;

    let lists = few.iter().filter(|(_, texts)| !texts.is_empty()).count();
    assert!(lists >= 8, "{lists} lists: {few:?}");
    assert_eq!(few, many);
}

/// Maximum number of blocks read for a page of ten rows, each in another block, with its lookups; the accounts have
/// thousands of blocks.
const PAGE_BLOCKS_MAX: u64 = 100;

/// More executions than PostgreSQL needs before it may choose a generic plan.
const AGAIN: usize = 12;

/// Asserts that each of many requests for the first page of an account reads few blocks.
async fn assert_pages_are_cheap(recorded: &Recorded, user: &User<'_>, list: &str, account: &str) {
    let path = format!("/v1/{list}?sub_account_id={account}&limit=10");
    for _ in 0..AGAIN {
        let found = recorded
            .during(async || drop(user.get(&path).await.data().clone()))
            .await;
        let blocks: u64 = found.iter().map(Statement::blocks).sum();
        assert!(blocks <= PAGE_BLOCKS_MAX, "{path}: {blocks} blocks");
    }
}

#[tokio::test]
async fn a_page_of_an_account_reads_few_blocks() {
    let recorded = Recorded::start().await;
    let user = recorded.world.user("ann").await;
    let book = user.book("grid", "0", "0").await;
    fill(&user, &book, MONTHS).await;

    for list in ["transactions", "trading-logs"] {
        assert_pages_are_cheap(&recorded, &user, list, &book.currency).await;
    }
}

#[tokio::test]
async fn a_page_of_a_large_account_reads_few_blocks() {
    let recorded = Recorded::start().await;
    let user = recorded.world.user("ann").await;
    let book = user.book("grid", "0", "0").await;
    recorded.world.begin_before_this_month().await;
    // Three rows in four belong to accounts with 25 rows each, the rest to one account.
    let rows = "INSERT INTO transactions (id, timestamp, user_id, trading_id, sub_account_id, event_time, direction, \
            reason, amount, closing_balance, sequence, trading_log_id) \
        SELECT gen_random_uuid(), now() - n * interval '1 millisecond', \
            CASE WHEN mine THEN $1 ELSE md5('u' || n % 3000)::uuid END, CASE WHEN mine THEN $2 ELSE md5('t' || n % 3000)::uuid END, \
            CASE WHEN mine THEN $3 ELSE md5('a' || n % 3000)::uuid END, now(), 'credit', 'deposit', 1, n, n, gen_random_uuid() \
        FROM (SELECT n, n % 4 = 0 AS mine FROM generate_series(1, $4) n) r";
    sqlx::query(rows)
        .bind(user.id.0)
        .bind(id(&book.trading))
        .bind(id(&book.currency))
        .bind(ROWS)
        .execute(recorded.world.pool())
        .await
        .expect("a history");
    recorded.world.execute("ANALYZE transactions").await;

    assert_pages_are_cheap(&recorded, &user, "transactions", &book.currency).await;
}

#[tokio::test]
async fn paging_a_history_with_gaps_returns_each_row_once() {
    let recorded = Recorded::start().await;
    let world = &recorded.world;
    let user = world.user("ann").await;
    let book = user.book("grid", "0", "0").await;
    fill(&user, &book, MANY_MONTHS).await;
    let gaps = "SET session_replication_role = replica; \
                DELETE FROM transactions WHERE EXTRACT(month FROM timestamp)::int % 4 IN (1, 2); \
                RESET session_replication_role";
    world.execute(gaps).await;
    let query = "SELECT id FROM transactions WHERE user_id = $1 ORDER BY timestamp DESC, id DESC";
    let expected: Vec<Uuid> = sqlx::query_scalar(query)
        .bind(user.id.0)
        .fetch_all(world.pool())
        .await
        .expect("rows");

    let mut found = Vec::new();
    let mut place = String::new();
    loop {
        let path = format!("/v1/transactions?limit=200{place}");
        let page = user.get(&path).await;
        let rows = page.list("transactions").iter();
        found.extend(rows.map(|row| id(&text(&row["id"]))));
        match page.data()["pagination"]["next_cursor"].as_str() {
            Some(cursor) => place = format!("&cursor={cursor}"),
            None => break,
        }
    }

    assert!(expected.len() > 1_000, "{} rows", expected.len());
    assert_eq!(found, expected);
}

/// Rows of one user in the long history.
const LONG: i32 = 1_000_000;

/// Fills a history with pairs of rows with one timestamp, like those of a trade.
async fn fill_long(user: &User<'_>) {
    let world = user.world;
    user.book("grid", "0", "0").await;
    world
        .execute("SELECT ensure_partitions(now() - interval '5 months', 3)")
        .await;
    let rows = "INSERT INTO transactions (id, timestamp, user_id, trading_id, sub_account_id, event_time, direction, reason, \
             amount, closing_balance, sequence, trading_log_id) \
         SELECT gen_random_uuid(), now() - (n / 2) * interval '26 seconds', a.user_id, a.trading_id, a.id, now(), \
             'credit', 'deposit', 1, n, n, gen_random_uuid() \
         FROM sub_accounts a, generate_series(1, $1) AS n WHERE a.symbol = 'ETH'";
    world.run(rows, LONG).await;
    world.execute("ANALYZE transactions").await;
}

/// Returns the number of blocks read for a page of a hundred transactions.
async fn blocks(recorded: &Recorded, user: &User<'_>, query: &str) -> u64 {
    let path = format!("/v1/transactions?limit=100{query}");
    let found = recorded
        .during(async || {
            let page = user.get(&path).await;
            assert_eq!(page.list("transactions").len(), 100, "{path}");
        })
        .await;

    found
        .iter()
        .filter(|statement| statement.text.contains(r#"FROM "transactions""#))
        .map(Statement::blocks)
        .sum()
}

/// The place of a row in a list.
#[derive(FromRow)]
struct Place {
    timestamp: DateTime<Utc>,
    id: Uuid,
}

/// Returns the cursor after `offset` rows.
async fn cursor_after(user: &User<'_>, offset: i32) -> String {
    let query = "SELECT timestamp, id FROM transactions WHERE user_id = $1 \
                 ORDER BY timestamp DESC, id DESC OFFSET $2 LIMIT 1";
    let place: Place = sqlx::query_as(query)
        .bind(user.id.0)
        .bind(offset)
        .fetch_one(user.world.pool())
        .await
        .expect("a row");
    cursor(place.timestamp, place.id)
}

#[tokio::test]
async fn a_deep_page_costs_the_same_as_the_first() {
    let recorded = Recorded::start().await;
    let user = recorded.world.user("ann").await;
    fill_long(&user).await;

    let first = blocks(&recorded, &user, "").await;
    for offset in [LONG / 2, LONG - 200] {
        let query = format!("&cursor={}", cursor_after(&user, offset).await);
        let deep = blocks(&recorded, &user, &query).await;
        assert!(
            deep <= 2 * first,
            "behind {offset} rows {deep} blocks instead of {first}"
        );
    }

    // Rows that an offset skips are read, which proves that the test measures the cost.
    let skipped = blocks(&recorded, &user, "&offset=50000").await;
    assert!(skipped > 10 * first, "{skipped} blocks");
}
