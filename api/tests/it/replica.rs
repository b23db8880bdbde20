//! Older history from a replica: which database serves which page, and the fallback to the primary.

use crate::bounded::held::{Asked, ask};
use crate::bounded::{FEW_KEYS, insert_large};
use crate::world::settings::settings;
use crate::world::{User, World, begin_before_this_month, text};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use std::path::PathBuf;
use std::time::Duration;
use tiris_runtime::config::DatabaseConfig;
use tiris_testing::{Role, TestDatabase, free_port, url_as};
use uuid::Uuid;

/// Rows of each database: more than a page of a CSV.
const ROWS: i32 = 600;

/// Returns the settings of another database.
fn at(url: &str) -> DatabaseConfig {
    let url = url_as(url, Role::Api).expect("an address");
    settings(&url, PathBuf::new()).database
}

/// Writes a history of the first account, one row a second until an hour ago, with the database as the reason of each row.
async fn history(database: &TestDatabase, place: &'static str) {
    begin_before_this_month(database.pool()).await;

    for statement in [
        "INSERT INTO transactions (id, timestamp, user_id, trading_id, sub_account_id, event_time, direction, reason, \
             amount, closing_balance, sequence, trading_log_id) \
         SELECT md5(n::text)::uuid, date_trunc('hour', now()) - interval '1 hour' - n * interval '1 second', \
             a.user_id, a.trading_id, a.id, now(), 'credit', $1, 1, n, n, gen_random_uuid() \
         FROM (SELECT * FROM sub_accounts ORDER BY id LIMIT 1) AS a, generate_series(1, $2) AS n",
        "INSERT INTO trading_logs (id, timestamp, user_id, trading_id, sub_account_id, event_time, type, source) \
         SELECT md5(n::text)::uuid, date_trunc('hour', now()) - interval '1 hour' - n * interval '1 second', \
             a.user_id, a.trading_id, a.id, now(), $1, 'bot' \
         FROM (SELECT * FROM sub_accounts ORDER BY id LIMIT 1) AS a, generate_series(1, $2) AS n",
    ] {
        sqlx::query(statement)
            .bind(place)
            .bind(ROWS)
            .execute(database.pool())
            .await
            .expect("a history");
    }
}

/// Copies the first account with its trading and user.
async fn copy_account(from: &TestDatabase, to: &TestDatabase) {
    let (account, trading, user): (Uuid, Uuid, Uuid) =
        sqlx::query_as("SELECT id, trading_id, user_id FROM sub_accounts ORDER BY id LIMIT 1")
            .fetch_one(from.pool())
            .await
            .expect("an account");

    sqlx::query(
        "WITH u AS (INSERT INTO users (id, username) VALUES ($3, 'ann')), \
              t AS (INSERT INTO tradings (id, user_id, name, type) VALUES ($2, $3, 'grid', 'paper')) \
         INSERT INTO sub_accounts (id, trading_id, user_id, name, symbol) VALUES ($1, $2, $3, 'stock', 'ETH')",
    )
    .bind(account)
    .bind(trading)
    .bind(user)
    .execute(to.pool())
    .await
    .expect("a copy");
}

/// Returns a cursor to a moment `seconds` ago.
fn cursor(seconds: i64) -> String {
    let at = chrono::Utc::now() - chrono::Duration::seconds(seconds);
    let micros = at.timestamp_micros().to_be_bytes();
    URL_SAFE_NO_PAD.encode([micros.as_slice(), Uuid::max().as_bytes()].concat())
}

/// Returns the database that served a page.
async fn place(user: &User<'_>, path: &str) -> String {
    let page = user.get(path).await;
    let rows = page
        .data()
        .as_object()
        .expect("an object")
        .values()
        .find_map(Value::as_array)
        .expect("a list");
    let mut places: Vec<String> = rows
        .iter()
        .map(|row| text(row.get("reason").unwrap_or(&row["type"])))
        .collect();
    places.dedup();

    assert_eq!(places.len(), 1, "{path}: {places:?}");

    places.remove(0)
}

/// Starts an API with a replica that has another history of the same account.
async fn with_replica(copy: &TestDatabase) -> World {
    World::start_with(|settings| settings.replica = Some(at(copy.url()))).await
}

/// Fills primary and replica with different histories.
async fn fill(world: &World, copy: &TestDatabase) {
    history(&world.database, "primary").await;
    copy_account(&world.database, copy).await;
    history(copy, "replica").await;
}

#[tokio::test]
async fn reads_only_pages_after_an_old_cursor_from_the_replica() {
    let copy = TestDatabase::new().await.expect("a database");
    let world = with_replica(&copy).await;
    let user = world.user("ann").await;
    let book = user.book("grid", "0", "0").await;
    fill(&world, &copy).await;
    let new = format!("cursor={}", cursor(30));
    let old = format!("cursor={}", cursor(90));

    for list in [
        "transactions",
        "trading-logs",
        &format!("trading-logs/trading/{}", book.trading),
    ] {
        for (query, expected) in [
            ("", "primary"),
            ("offset=1", "primary"),
            (&new, "primary"),
            (&old, "replica"),
            (&format!("{old}&include_total=true"), "primary"),
        ] {
            let path = format!("/v1/{list}?{query}");
            assert_eq!(place(&user, &path).await, expected, "{path}");
        }
    }
    world.anonymous("/health/ready").await.assert_status(200);
}

#[tokio::test]
async fn a_csv_reads_its_first_rows_from_the_primary() {
    let copy = TestDatabase::new().await.expect("a database");
    let world = with_replica(&copy).await;
    let user = world.user("ann").await;
    user.book("grid", "0", "0").await;
    fill(&world, &copy).await;

    let headers = [("accept", "text/csv")];
    let csv = user.get_with("/v1/transactions", &headers).await;

    // It reads 200 rows at once.
    assert_eq!(csv.text.matches(",primary,").count(), 200);
    assert_eq!(csv.text.matches(",replica,").count(), 400);
}

#[tokio::test]
async fn hides_a_deleted_trading_that_the_replica_still_has() {
    let copy = TestDatabase::new().await.expect("a database");
    let world = with_replica(&copy).await;
    let user = world.user("ann").await;
    let book = user.book("grid", "0", "0").await;
    fill(&world, &copy).await;

    let trading = format!("/v1/tradings/{}", book.trading);
    user.delete(&trading).await.data();

    let page = format!("/v1/transactions?cursor={}", cursor(90));
    let page = user.get(&page).await;
    assert!(page.list("transactions").is_empty(), "{page}");
}

#[tokio::test]
async fn waits_only_once_for_a_hanging_replica() {
    let copy = TestDatabase::new().await.expect("a database");
    let world = World::start_with(|settings| settings.replica = Some(at(copy.url()))).await;
    let user = world.user("ann").await;
    user.book("grid", "0", "0").await;

    history(&world.database, "primary").await;
    let mut transaction = copy.pool().begin().await.expect("begun");
    sqlx::raw_sql("LOCK TABLE transactions")
        .execute(&mut *transaction)
        .await
        .expect("locked");
    let page = format!("/v1/transactions?cursor={}", cursor(90));

    assert_eq!(place(&user, &page).await, "primary");

    transaction.rollback().await.expect("released");
    // The replica, which is empty, would serve this.
    assert_eq!(place(&user, &page).await, "primary");
}

/// Large answers of a user at once.
const LARGE_PER_USER: usize = 3;
/// Rows of 60 KiB, one a second: more than a page has room for are old enough for the replica.
const LARGE_ROWS: i32 = 200;
/// Longer than the replica may take.
const LONG_WAIT: Duration = Duration::from_millis(3_200);

#[tokio::test]
async fn the_time_of_the_replica_begins_with_the_turn() {
    let copy = TestDatabase::new().await.expect("a database");
    let world = with_replica(&copy).await;
    let user = world.user("ann").await;
    user.book("grid", "0", "0").await;
    fill(&world, &copy).await;
    insert_large(
        copy.pool(),
        &first_account(&copy).await,
        LARGE_ROWS,
        FEW_KEYS,
    )
    .await;
    let path = format!(
        "/v1/transactions?limit=1000&reason=large&cursor={}",
        cursor(90)
    );
    let asked = async || ask(world.address, &user.token, &path, "*/*").await;

    let mut held = Vec::new();
    for _ in 0..LARGE_PER_USER {
        held.push(asked().await.begun().await);
    }
    let waiting = tokio::spawn(Asked::begun(asked().await));
    tokio::time::sleep(LONG_WAIT).await;
    drop(held);

    // The primary has no such row.
    let answer = waiting.await.expect("an answer").read().await;
    let answer = String::from_utf8(answer).expect("text");
    assert!(answer.contains("\"reason\":\"large\""), "{}", answer.len());
    let after = format!("/v1/transactions?cursor={}", cursor(90));
    let page = user.get(&after).await;
    assert!(
        page.text.contains("\"reason\":\"large\""),
        "the replica is still used"
    );
}

/// Returns the account that both databases have.
async fn first_account(database: &TestDatabase) -> String {
    sqlx::query_scalar("SELECT id::text FROM sub_accounts ORDER BY id LIMIT 1")
        .fetch_one(database.pool())
        .await
        .expect("an account")
}

#[tokio::test]
async fn falls_back_from_an_unusable_replica() {
    let empty = TestDatabase::empty().await.expect("a database");
    let nowhere = format!(
        "postgres://tiris@127.0.0.1:{}/tiris",
        free_port().expect("a port")
    );

    for url in [nowhere.as_str(), empty.url()] {
        let world = World::start_with(|settings| settings.replica = Some(at(url))).await;
        let user = world.user("ann").await;
        user.book("grid", "0", "0").await;

        history(&world.database, "primary").await;

        for _ in 0..2 {
            assert_eq!(
                place(&user, &format!("/v1/transactions?cursor={}", cursor(90))).await,
                "primary",
                "{url}"
            );
        }

        let ready = world.anonymous("/health/ready").await;
        ready.assert_status(200);
        assert_eq!(ready.data()["ready"], true, "{ready}");
    }
}
