//! Trading logs by sub-account: those that name it, and those that changed its balance.

use crate::world::book::Book;
use crate::world::{Answer, User, World, text};
use chrono::{Duration, Utc};
use serde_json::json;
use sqlx::{AssertSqlSafe, PgPool};
use uuid::Uuid;

/// Logs of each kind.
const EACH: i32 = 40;
/// Logs that are booked at one moment, like those of a batch.
const BATCH: i32 = 9;
/// Rows of a page: few, so that batches span pages.
const LIMITS: [usize; 4] = [1, 3, 7, 100];
/// Returns the logs of an account in the order of the list, found by another way than the API does.
const EXPECTED: &str = "SELECT l.id FROM trading_logs l WHERE l.sub_account_id = $1 OR EXISTS ( \
         SELECT FROM transactions t WHERE t.sub_account_id = $1 AND t.trading_log_id = l.id) \
     ORDER BY l.timestamp DESC, l.id DESC";

/// The logs to insert.
const MADE: &str = "WITH made AS (SELECT md5('log' || n)::uuid AS id, n % 5 AS kind, \
         $3::timestamptz - (n / $4) * interval '5 days' AS at FROM generate_series(1, 5 * $5) AS n)";
const INSERT_LOGS: &str = "INSERT INTO trading_logs (id, timestamp, user_id, trading_id, sub_account_id, event_time, type, source) \
     SELECT m.id, m.at, a.user_id, a.trading_id, \
         CASE kind WHEN 0 THEN a.id WHEN 1 THEN $2::uuid WHEN 2 THEN a.id END, m.at, 'k' || kind, 'bot' \
     FROM made m, sub_accounts a WHERE a.id = $1::uuid";
const INSERT_TRANSACTIONS: &str = "INSERT INTO transactions (id, timestamp, user_id, trading_id, sub_account_id, event_time, direction, \
         reason, amount, closing_balance, sequence, trading_log_id) \
     SELECT gen_random_uuid(), m.at, a.user_id, a.trading_id, leg.account, m.at, 'credit', 'x', 1, 1, 1, m.id \
     FROM made m, sub_accounts a, (VALUES (2, $1::uuid), (3, $1::uuid), (3, $2::uuid), (4, $1::uuid), (4, $1::uuid), \
         (4, $2::uuid)) AS leg (kind, account) WHERE a.id = $1::uuid AND leg.kind = m.kind";

/// Inserts logs in batches over some months, of five kinds: notes about the account of stock, notes about the other,
/// movements, trades with a leg on each account, and trades that also pay a fee in stock.
async fn history(world: &World, book: &Book) {
    let newest = Utc::now();
    let partitions = "SELECT ensure_partitions(now() - $1 * interval '1 month', 3)";
    world.run(partitions, 5).await;

    for insert in [INSERT_LOGS, INSERT_TRANSACTIONS] {
        sqlx::query(AssertSqlSafe(format!("{MADE} {insert}")))
            .bind(&book.stock)
            .bind(&book.currency)
            .bind(newest)
            .bind(BATCH)
            .bind(EACH)
            .execute(world.pool())
            .await
            .expect("rows");
    }
}

async fn expected(pool: &PgPool, account: &str) -> Vec<String> {
    let account: Uuid = account.parse().expect("an id");
    let ids: Vec<Uuid> = sqlx::query_scalar(EXPECTED)
        .bind(account)
        .fetch_all(pool)
        .await
        .expect("ids");
    ids.iter().map(ToString::to_string).collect()
}

fn ids(page: &Answer) -> Vec<String> {
    let logs = page.list("trading_logs").iter();
    logs.map(|log| text(&log["id"])).collect()
}

/// Reads all pages of a list.
async fn all(user: &User<'_>, query: &str, limit: usize) -> Vec<String> {
    let mut found = Vec::new();
    let mut place = String::new();

    loop {
        let page = user
            .get(&format!("/v1/trading-logs?{query}&limit={limit}{place}"))
            .await;
        let next = &page.data()["pagination"]["next_cursor"];
        found.extend(ids(&page));

        if next.is_null() {
            return found;
        }
        assert_eq!(
            ids(&page).len(),
            limit,
            "a page that is not the last is full"
        );
        place = format!("&cursor={}", text(next));
    }
}

#[tokio::test]
async fn logs_of_an_account_include_its_trades() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let other = world.user("bob").await;
    let book = user.book("grid", "10", "10").await;
    let mut note = book.note();
    note["sub_account_id"] = json!(book.stock);
    let note = user.log(note).await.id();
    let trade = user.log(book.trade("long")).await.id();

    for (account, newest) in [
        (&book.stock, vec![&trade, &note]),
        (&book.currency, vec![&trade]),
    ] {
        let path = format!("/v1/trading-logs?sub_account_id={account}");
        let found = user.get(&path).await;
        let notes = user.get(&format!("{path}&type=note")).await;
        let foreign = other.get(&path).await;

        let mut expected: Vec<String> = newest.into_iter().cloned().collect();
        // The log of the initial deposit.
        expected.push(ids(&found).last().expect("a deposit").clone());
        assert_eq!(ids(&found), expected);
        assert_eq!(ids(&notes).len(), expected.len() - 2, "{notes}");
        assert!(ids(&foreign).is_empty(), "{foreign}");
    }
}

#[tokio::test]
async fn pages_of_the_logs_of_an_account_have_each_once() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = user.book("grid", "0", "0").await;
    history(&world, &book).await;

    for account in [&book.stock, &book.currency] {
        let expected = expected(world.pool(), account).await;
        assert!(expected.len() >= usize::try_from(2 * EACH).expect("few"));
        let query = format!("sub_account_id={account}");

        for limit in LIMITS {
            assert_eq!(all(&user, &query, limit).await, expected, "{limit}");
        }
    }
}

#[tokio::test]
async fn other_filters_narrow_the_logs_of_an_account() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = user.book("grid", "0", "0").await;
    history(&world, &book).await;
    let query = format!("sub_account_id={}", book.stock);
    let month_ago = Utc::now() - Duration::days(31);
    let date = month_ago.format("%Y-%m-%d");

    let whole = all(&user, &query, 100).await;
    let trades = all(&user, &format!("{query}&type=k4"), 3).await;
    let early = all(&user, &format!("{query}&end_date={date}"), 7).await;
    let late = all(&user, &format!("{query}&time=event&start_date={date}"), 7).await;
    let elsewhere = all(&user, &format!("{query}&trading_id={}", Uuid::nil()), 7).await;
    let path = format!("/v1/trading-logs?{query}&offset=5&limit=4&include_total=true");
    let skipped = user.get(&path).await;

    assert_eq!(trades.len(), usize::try_from(EACH).expect("few"));
    assert!(!early.is_empty() && !late.is_empty());
    assert_eq!([late, early].concat(), whole);
    assert!(elsewhere.is_empty(), "{elsewhere:?}");
    assert_eq!(ids(&skipped), whole[5..9]);
    assert_eq!(skipped.data()["pagination"]["total"], json!(whole.len()));
}
