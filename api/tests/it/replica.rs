//! Older history from a copy of the database: who answers which page, and that nobody notices when the copy cannot.

use crate::world::{User, World, settings, text};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use std::path::PathBuf;
use tiris_shared::config::DatabaseConfig;
use tiris_shared::testing::{TestDatabase, free_port};
use uuid::Uuid;

/// Rows of each database: more than a page of a CSV.
const ROWS: i32 = 600;

/// How to reach another database.
fn at(url: &str) -> DatabaseConfig {
    settings(url, PathBuf::new()).database
}

/// Writes a history of the first account into a database, one row a second until an age, whose reason says where it stands.
async fn history(database: &TestDatabase, place: &'static str, youngest_seconds: i32) {
    for statement in [
        "SELECT ensure_partitions(now() - interval '1 month', 0) FROM (SELECT $1, $2::int, $3::int) AS unused",
        "INSERT INTO transactions (id, timestamp, user_id, trading_id, sub_account_id, event_time, direction, reason, \
             amount, closing_balance, sequence, trading_log_id) \
         SELECT md5(n::text)::uuid, date_trunc('hour', now()) - interval '1 hour' - (n + $3) * interval '1 second', \
             a.user_id, a.trading_id, a.id, now(), 'credit', $1, 1, n, n, gen_random_uuid() \
         FROM (SELECT * FROM sub_accounts ORDER BY id LIMIT 1) AS a, generate_series(1, $2) AS n",
        "INSERT INTO trading_logs (id, timestamp, user_id, trading_id, sub_account_id, event_time, type, source) \
         SELECT md5(n::text)::uuid, date_trunc('hour', now()) - interval '1 hour' - (n + $3) * interval '1 second', \
             a.user_id, a.trading_id, a.id, now(), $1, 'bot' \
         FROM (SELECT * FROM sub_accounts ORDER BY id LIMIT 1) AS a, generate_series(1, $2) AS n",
    ] {
        sqlx::query(statement)
            .bind(place)
            .bind(ROWS)
            .bind(youngest_seconds)
            .execute(database.pool())
            .await
            .expect("a history");
    }
}

/// A cursor behind a moment so many seconds ago.
fn cursor(seconds: i64) -> String {
    let at = chrono::Utc::now() - chrono::Duration::seconds(seconds);
    URL_SAFE_NO_PAD.encode([at.timestamp_micros().to_be_bytes().as_slice(), Uuid::max().as_bytes()].concat())
}

/// Where the rows of a page stand; one place for all.
async fn place(user: &User<'_>, path: &str) -> String {
    let page = user.get(path).await;
    let rows =
        page.data().as_object().expect("an object").values().find_map(Value::as_array).expect("a list");
    let mut places: Vec<String> =
        rows.iter().map(|row| text(row.get("reason").unwrap_or(&row["type"]))).collect();
    places.dedup();
    assert_eq!(places.len(), 1, "{path}: {places:?}");
    places.remove(0)
}

/// A world with a user who has one account.
async fn world(change: impl FnOnce(&mut tiris_api::settings::Settings)) -> World {
    World::start_with(change).await
}

#[tokio::test]
async fn what_lies_behind_a_cursor_is_read_from_the_replica_and_what_is_new_never() {
    let copy = TestDatabase::new().await.expect("a database");
    let world = world(|settings| settings.replica = Some(at(copy.url()))).await;
    let user = world.user("ann").await;
    let desk = user.desk("grid", "0", "0").await;
    history(&world.database, "primary", 0).await;
    // The same account, as a copy has it.
    let account: (Uuid, Uuid, Uuid) =
        sqlx::query_as("SELECT id, trading_id, user_id FROM sub_accounts ORDER BY id LIMIT 1")
            .fetch_one(world.database.pool())
            .await
            .expect("an account");
    for statement in [
        "INSERT INTO users (id, username) SELECT $3, 'ann' FROM (SELECT $1, $2) AS unused",
        "INSERT INTO tradings (id, user_id, name, type) SELECT $2, $3, 'grid', 'paper' FROM (SELECT $1) AS unused",
        "INSERT INTO sub_accounts (id, trading_id, user_id, name, symbol) VALUES ($1, $2, $3, 'stock', 'ETH')",
    ] {
        sqlx::query(statement)
            .bind(account.0)
            .bind(account.1)
            .bind(account.2)
            .execute(copy.pool())
            .await
            .expect(statement);
    }
    history(&copy, "replica", 0).await;
    for list in ["transactions", "trading-logs", &format!("trading-logs/trading/{}", desk.trading)] {
        let ask = |query: &str| format!("/v1/{list}?{query}");
        for (query, expected) in [
            (String::new(), "primary"),
            ("offset=1".to_owned(), "primary"),
            (format!("cursor={}", cursor(30)), "primary"),
            (format!("cursor={}", cursor(90)), "replica"),
            (format!("cursor={}&include_total=true", cursor(90)), "primary"),
        ] {
            assert_eq!(place(&user, &ask(&query)).await, expected, "{list} {query}");
        }
    }
    let csv = user.get_with("/v1/transactions", &[("accept", "text/csv")]).await.text;
    assert_eq!((csv.matches(",primary,").count(), csv.matches(",replica,").count()), (500, 100));
    let ready = world.anonymous("/health/ready").await;
    assert_eq!(ready.status, 200, "{}", ready.text);
    // What the user deletes is gone also where a copy still has it.
    user.delete(&format!("/v1/tradings/{}", desk.trading)).await.data();
    let gone = user.get(&format!("/v1/transactions?cursor={}", cursor(90))).await;
    assert_eq!(gone.data()["transactions"], Value::Array(Vec::new()));
}

#[tokio::test]
async fn a_replica_that_is_away_or_of_no_use_is_not_noticed() {
    let empty = TestDatabase::empty().await.expect("a database");
    let nowhere = format!("postgres://tiris@127.0.0.1:{}/tiris", free_port().expect("a port"));
    for url in [nowhere.as_str(), empty.url()] {
        let world = world(|settings| settings.replica = Some(at(url))).await;
        let user = world.user("ann").await;
        user.desk("grid", "0", "0").await;
        history(&world.database, "primary", 0).await;
        for _ in 0..2 {
            assert_eq!(
                place(&user, &format!("/v1/transactions?cursor={}", cursor(90))).await,
                "primary",
                "{url}"
            );
        }
        let ready = world.anonymous("/health/ready").await;
        assert_eq!(
            (ready.status.as_u16(), &ready.data()["ready"]),
            (200, &Value::Bool(true)),
            "{}",
            ready.text
        );
    }
}
