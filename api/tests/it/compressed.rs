//! A history compressed by TimescaleDB is read, deleted and purged like any other.

use crate::world::book::Book;
use crate::world::{User, World, http_client};
use std::time::Duration;
use tiris_testing::{TestDatabase, eventually, partitions};
use uuid::Uuid;

/// Rows a minute apart, a hundred days ago, with the time in their ids.
const HISTORY: [&str; 2] = [
    "INSERT INTO transactions (id, timestamp, user_id, trading_id, sub_account_id, event_time, direction, reason, amount, \
         closing_balance, sequence, trading_log_id, order_id, info) \
     SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '70008000' || lpad(n::text, 12, '0'))::uuid, \
         at, a.user_id, a.trading_id, a.id, at, 'credit', 'r' || n % 7, n, n, n, gen_random_uuid(), 'o' || n / 2, \
         jsonb_build_object('n', n % 10) \
     FROM (SELECT * FROM sub_accounts WHERE symbol = 'ETH') a, generate_series(1, 3000) n, \
         LATERAL (SELECT date_trunc('minute', now()) - interval '100 days' + n * interval '1 minute' AS at) t",
    "INSERT INTO trading_logs (id, timestamp, user_id, trading_id, sub_account_id, event_time, type, source) \
     SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '70008000' || lpad(n::text, 12, '0'))::uuid, \
         at, a.user_id, a.trading_id, CASE n % 2 WHEN 0 THEN a.id END, at, 't' || n % 7, 'bot' \
     FROM (SELECT * FROM sub_accounts WHERE symbol = 'ETH') a, generate_series(1, 3000) n, \
         LATERAL (SELECT date_trunc('minute', now()) - interval '100 days' + n * interval '1 minute' AS at) t",
];

const COMPRESS: &str = "SELECT compress_chunk(c) FROM unnest(ARRAY['transactions', 'trading_logs']::regclass[]) t, \
    LATERAL show_chunks(t, older_than => interval '30 days') c";

/// Returns whether the tests have TimescaleDB.
async fn has_timescale() -> bool {
    let database = TestDatabase::timescale().await.expect("a database");
    database.is_some()
}

/// Creates a book with a history that is old enough to be compressed.
async fn with_history(user: &User<'_>) -> Book {
    let book = user.book("grid", "10", "10").await;
    for statement in HISTORY {
        user.world.execute(statement).await;
    }
    book
}

async fn compress(world: &World) {
    let plain = partitions(world.pool()).await.expect("chunks").len();
    world.execute(COMPRESS).await;
    let all = partitions(world.pool()).await.expect("chunks").len();
    assert!(all > plain, "nothing was compressed");
}

/// Returns all pages of a list.
async fn pages(user: &User<'_>, path: &str, list: &str) -> Vec<String> {
    let mut pages = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = user.get(&format!("{path}?limit=1000{cursor}")).await;
        pages.push(page.data()[list].to_string());
        match page.data()["pagination"]["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return pages,
        }
    }
}

/// Returns everything a client can read of the history.
async fn contents(user: &User<'_>, account: &str) -> Vec<String> {
    let mut contents = Vec::new();
    for (path, list) in [
        ("/v1/transactions", "transactions"),
        ("/v1/trading-logs", "trading_logs"),
    ] {
        contents.extend(pages(user, path, list).await);

        for query in [
            "order_id=o7",
            "info=%7B%22n%22%3A3%7D&include_total=true",
            "reason=r3&time=event",
            "type=t3",
        ] {
            let path = format!("{path}?sub_account_id={account}&{query}");
            // Without the metadata, which differs.
            contents.push(user.get(&path).await.body["data"].to_string());
        }
    }

    let csv = user
        .get_with("/v1/transactions", &[("accept", "text/csv")])
        .await;
    contents.push(csv.text);
    contents
}

#[tokio::test]
async fn reads_a_compressed_history_like_any_other() {
    if !has_timescale().await {
        return;
    }
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = with_history(&user).await;
    let before = contents(&user, &book.stock).await;
    assert!(before.iter().map(String::len).sum::<usize>() > 1_000_000);

    compress(&world).await;

    assert_eq!(contents(&user, &book.stock).await, before);
    let posting: Uuid = world
        .scalar("SELECT id FROM transactions ORDER BY timestamp OFFSET 1500 LIMIT 1")
        .await;
    let posting = user.get(&format!("/v1/transactions/{posting}")).await;
    assert_eq!(posting.data()["amount"], "1501");
}

#[tokio::test]
async fn deletes_a_compressed_log_like_any_other() {
    if !has_timescale().await {
        return;
    }
    let world = World::start().await;
    let user = world.user("ann").await;
    let root = world.admin("root").await;
    with_history(&user).await;
    compress(&world).await;
    let log: Uuid = world
        .scalar("SELECT id FROM trading_logs ORDER BY timestamp OFFSET 1500 LIMIT 1")
        .await;
    let path = format!("/v1/trading-logs/{log}");
    assert_eq!(user.get(&path).await.id(), log.to_string());

    root.delete(&path).await.data();

    root.delete(&path).await.assert_error(404, "NOT_FOUND");
}

#[tokio::test]
async fn purges_a_compressed_history_like_any_other() {
    if !has_timescale().await {
        return;
    }
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = with_history(&user).await;
    compress(&world).await;

    let trading = format!("/v1/tradings/{}", book.trading);
    user.delete(&trading).await.data();

    let left = "SELECT (SELECT count(*) FROM transactions) + (SELECT count(*) FROM trading_logs)";
    eventually("the purge", Duration::from_secs(60), async || {
        let left: i64 = world.scalar(left).await;
        anyhow::ensure!(left == 0, "{left} rows");
        Ok(())
    })
    .await
    .expect("no rows");
}

/// More than the executions after which PostgreSQL prefers a generic plan, which is bad for compressed rows.
const PASSES: usize = 12;

#[tokio::test]
async fn a_live_stream_continues_with_a_compressed_history() {
    if !has_timescale().await {
        return;
    }
    // One connection, which caches its prepared statements.
    let world = World::start_with(|settings| {
        settings.database.max_connections = 1;
        settings.live.poll_interval = Duration::from_millis(50);
    })
    .await;
    let user = world.user("ann").await;
    let book = with_history(&user).await;
    compress(&world).await;
    let request = http_client()
        .get(format!("http://{}/v1/stream", world.address))
        .bearer_auth(&user.token);
    let mut stream = request.send().await.expect("an answer");

    let mut received = String::new();
    for pass in 1..=PASSES {
        user.deposit(&book.stock, "1").await.data();
        while received.matches("event: transaction\n").count() < pass {
            let chunk = tokio::time::timeout(Duration::from_secs(30), stream.chunk())
                .await
                .expect("in time");
            received += &String::from_utf8_lossy(&chunk.expect("a stream").expect("more"));
        }
    }
}
