//! A history that TimescaleDB has compressed answers, and is purged, as one that is not.

use crate::world::{User, World, http_client, text};
use serde_json::json;
use std::time::Duration;
use tiris_testing::{TestDatabase, eventually, partitions};
use uuid::Uuid;

/// Rows a minute apart, a hundred days ago, whose ids tell their time.
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

/// What a client can learn of the history.
async fn told(user: &User<'_>, account: &str) -> Vec<String> {
    let mut told = Vec::new();
    for list in ["transactions", "trading-logs"] {
        let mut cursor = String::new();
        loop {
            let page = user.get(&format!("/v1/{list}?limit=1000{cursor}")).await;
            let data = page.data();
            told.push(data[list.replace('-', "_")].to_string());
            let Some(next) = data["pagination"]["next_cursor"].as_str() else {
                break;
            };
            cursor = format!("&cursor={next}");
        }
        for query in [
            "order_id=o7",
            "info=%7B%22n%22%3A3%7D&include_total=true",
            "reason=r3&time=event",
            "type=t3",
        ] {
            told.push(
                user.get(&format!("/v1/{list}?sub_account_id={account}&{query}"))
                    .await
                    .text,
            );
        }
        told.push(
            user.get_with(&format!("/v1/{list}"), &[("accept", "text/csv")])
                .await
                .text,
        );
    }
    // Each answer has a trace id and a time of its own.
    told.into_iter()
        .map(|text| {
            text.split("\"metadata\"")
                .next()
                .unwrap_or_default()
                .to_owned()
        })
        .collect()
}

#[tokio::test]
async fn a_compressed_history_is_listed_looked_up_exported_deleted_and_purged_like_any_other() {
    if TestDatabase::timescale()
        .await
        .expect("a database")
        .is_none()
    {
        return;
    }
    let world = World::start().await;
    let pool = world.database.pool();
    let (user, root) = (world.user("ann").await, world.admin("root").await);
    let desk = user.desk("grid", "10", "10").await;
    for statement in HISTORY {
        sqlx::query(statement)
            .execute(pool)
            .await
            .expect("a history");
    }
    let before = told(&user, &desk.stock).await;
    assert!(before.iter().map(String::len).sum::<usize>() > 1_000_000);
    let plain = partitions(pool).await.expect("chunks").len();
    sqlx::query(COMPRESS)
        .execute(pool)
        .await
        .expect("compressed");
    assert!(
        partitions(pool).await.expect("chunks").len() > plain,
        "nothing was compressed"
    );
    assert_eq!(told(&user, &desk.stock).await, before);

    let (posting, log): (Uuid, Uuid) = sqlx::query_as(
        "SELECT (SELECT id FROM transactions ORDER BY timestamp OFFSET 1500 LIMIT 1), \
             (SELECT id FROM trading_logs ORDER BY timestamp OFFSET 1500 LIMIT 1)",
    )
    .fetch_one(pool)
    .await
    .expect("rows");
    assert_eq!(
        user.get(&format!("/v1/transactions/{posting}"))
            .await
            .data()["amount"],
        "1501"
    );
    let path = format!("/v1/trading-logs/{log}");
    assert_eq!(text(&user.get(&path).await.data()["id"]), log.to_string());
    root.delete(&path).await.data();
    assert_eq!(root.delete(&path).await.refusal(), (404, "NOT_FOUND"));

    user.delete(&format!("/v1/tradings/{}", desk.trading))
        .await
        .data();
    let left = "SELECT (SELECT count(*) FROM transactions) + (SELECT count(*) FROM trading_logs)";
    eventually("the purge", Duration::from_secs(60), async || {
        let left: i64 = sqlx::query_scalar(left).fetch_one(pool).await?;
        anyhow::ensure!(left == 0, "{left} rows");
        Ok(())
    })
    .await
    .expect("all is gone");
}

/// How many passes it takes until PostgreSQL would rather have a plan for any time, which no plan for compressed rows is.
const PASSES: usize = 12;

#[tokio::test]
async fn a_live_stream_goes_on_pass_after_pass_beside_what_is_compressed() {
    if TestDatabase::timescale()
        .await
        .expect("a database")
        .is_none()
    {
        return;
    }
    // All over one connection, which remembers its statements.
    let world = World::start_with(|settings| {
        settings.database.max_connections = 1;
        settings.live.look_alone = Duration::from_millis(50);
    })
    .await;
    let pool = world.database.pool();
    let user = world.user("ann").await;
    let desk = user.desk("grid", "10", "10").await;
    for statement in HISTORY {
        sqlx::query(statement)
            .execute(pool)
            .await
            .expect("a history");
    }
    sqlx::query(COMPRESS)
        .execute(pool)
        .await
        .expect("compressed");
    let request = http_client()
        .get(format!("http://{}/v1/stream", world.address))
        .bearer_auth(&user.token);
    let mut stream = request.send().await.expect("an answer");
    let mut heard = String::new();
    for pass in 1..=PASSES {
        user.post(
            &format!("/v1/sub-accounts/{}/deposit", desk.stock),
            json!({"amount": "1"}),
        )
        .await
        .data();
        while heard.matches("event: transaction\n").count() < pass {
            let chunk = tokio::time::timeout(Duration::from_secs(30), stream.chunk())
                .await
                .expect("in time");
            heard += &String::from_utf8_lossy(&chunk.expect("a stream").expect("more"));
        }
    }
}
