//! Past balances and histories, by time of recording and by event time.

use crate::world::book::Book;
use crate::world::settings::settings;
use crate::world::{User, World, text};
use serde_json::{Value, json};
use std::path::PathBuf;
use tiris_testing::{Role, TestDatabase};
use uuid::Uuid;

/// Deposits, or withdraws a negative amount, at an event time. Returns the time of recording.
async fn booked(user: &User<'_>, account: &str, signed: &str, event_time: &str) -> String {
    let (action, amount) = match signed.strip_prefix('-') {
        Some(amount) => ("withdraw", amount),
        None => ("deposit", signed),
    };
    let path = format!("/v1/sub-accounts/{account}/{action}");
    let body = json!({"amount": amount, "event_time": event_time});
    let moved = user.post(&path, body).await;
    text(&moved.data()["transaction"]["timestamp"])
}

async fn balance(user: &User<'_>, account: &str, query: &str) -> String {
    let path = format!("/v1/sub-accounts/{account}/balance?{query}");
    text(&user.get(&path).await.data()["balance"])
}

async fn history(user: &User<'_>, account: &str, query: &str) -> Value {
    let path = format!("/v1/sub-accounts/{account}/history?{query}");
    user.get(&path).await.data().clone()
}

/// Returns the periods of a history, one line each.
fn lines(history: &Value) -> Vec<String> {
    let line = |piece: &Value| {
        let fields = [
            "time",
            "opening_balance",
            "credits",
            "debits",
            "closing_balance",
        ]
        .map(|name| text(&piece[name]));
        format!("{} {}", fields.join(" "), piece["count"])
    };
    let pieces = history["pieces"].as_array().expect("a list");
    pieces.iter().map(line).collect()
}

/// Recording times of the first two movements of a backtest.
struct Booked {
    first: String,
    second: String,
}

/// Books a backtest within a minute, the last event first.
async fn backtest(user: &User<'_>, stock: &str) -> Booked {
    let first = booked(user, stock, "8", "2018-01-03T10:30:00Z").await;
    let second = booked(user, stock, "-3", "2018-01-02T09:00:00Z").await;
    booked(user, stock, "5", "2018-01-01T08:00:00Z").await;
    booked(user, stock, "1", "2018-01-03T10:59:59.999999Z").await;
    Booked { first, second }
}

#[tokio::test]
async fn returns_the_balance_at_an_event_time() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = user.book("backtest", "0", "0").await;
    backtest(&user, &book.stock).await;

    for (at, expected) in [
        ("2018-01-01T07:59:59.999999Z", "0"),
        ("2018-01-01T08:00:00Z", "5"),
        ("2018-01-02T09:00:00Z", "2"),
        ("2018-01-03T10:30:00Z", "10"),
        ("2019-01-01T00:00:00Z", "11"),
    ] {
        let query = format!("time=event&at={at}");
        assert_eq!(balance(&user, &book.stock, &query).await, expected, "{at}");
    }
}

#[tokio::test]
async fn returns_the_balance_at_a_recording_time() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = user.book("backtest", "0", "0").await;
    let Booked { first, second } = backtest(&user, &book.stock).await;

    for (query, expected) in [
        ("at=2018-06-01T00:00:00Z", "0"),
        (&format!("at={first}"), "8"),
        (&format!("time=recorded&at={second}"), "5"),
        ("", "11"),
    ] {
        let found = balance(&user, &book.stock, query).await;
        assert_eq!(found, expected, "{query}");
    }
}

#[tokio::test]
async fn a_history_has_a_period_for_each_hour_or_day_with_postings() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = user.book("backtest", "0", "0").await;
    backtest(&user, &book.stock).await;

    let hours = history(&user, &book.stock, "time=event&interval=hour").await;
    let range = "time=event&from=2018-01-02T23:00:00Z&to=2018-01-03T00:00:00.000001Z";
    let days = history(&user, &book.stock, range).await;
    let recorded = history(&user, &book.stock, "").await;
    let idle = history(&user, &book.currency, "").await;

    let expected = [
        "2018-01-01T08:00:00Z 0 5 0 5 1",
        "2018-01-02T09:00:00Z 5 0 3 2 1",
        "2018-01-03T10:00:00Z 2 9 0 11 2",
    ];
    assert_eq!(lines(&hours), expected);
    assert_eq!(hours["to"], "2018-01-03T11:00:00Z");

    let expected = [
        "2018-01-02T00:00:00Z 5 0 3 2 1",
        "2018-01-03T00:00:00Z 2 9 0 11 2",
    ];
    assert_eq!(lines(&days), expected);
    assert_eq!(days["from"], "2018-01-02T00:00:00Z");
    assert_eq!(days["to"], "2018-01-04T00:00:00Z");
    assert_eq!(days["opening_balance"], "5");
    assert_eq!(days["closing_balance"], "11");

    let pieces = lines(&recorded).join(" ");
    assert!(pieces.contains(" 11 "), "{pieces}");
    assert_eq!(idle["pieces"], json!([]));
    assert_eq!(idle["closing_balance"], "0");
}

/// Inserts postings of 70 days ago, of 35 days ago and of now.
async fn insert_history(world: &World, account: Uuid) {
    world
        .execute("SELECT ensure_partitions(now() - interval '3 months', 3)")
        .await;

    world
        .run(
            "INSERT INTO transactions (id, timestamp, user_id, trading_id, sub_account_id, event_time, direction, \
                 reason, amount, closing_balance, sequence, trading_log_id) \
             SELECT gen_random_uuid(), at, user_id, trading_id, id, at, 'credit', 'deposit', amount, closing, \
                 posting.sequence, gen_random_uuid() \
             FROM sub_accounts, (VALUES (1, now() - interval '70 days', 5, 5), (2, now() - interval '35 days', 3, 8), \
                 (3, now(), 2, 10)) AS posting (sequence, at, amount, closing) \
             WHERE id = $1",
            account,
        )
        .await;
    let balance = "UPDATE sub_accounts SET balance = 10, sequence = 3 WHERE id = $1";
    world.run(balance, account).await;
}

/// Returns the balances of 80, 60 and 20 days ago, and of tomorrow.
async fn balances(user: &User<'_>, account: &str, clock: &str) -> Vec<String> {
    let mut found = Vec::new();
    for days in [80, 60, 20, -1] {
        let at = chrono::Utc::now() - chrono::Duration::days(days);
        let at = at.format("%Y-%m-%dT%H:%M:%SZ");
        found.push(balance(user, account, &format!("time={clock}&at={at}")).await);
    }
    found
}

const CLOCKS: [&str; 2] = ["recorded", "event"];

#[tokio::test]
async fn balances_survive_the_loss_of_old_history() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = user.book("grid", "0", "0").await;
    insert_history(&world, book.stock.parse().expect("an id")).await;
    for clock in CLOCKS {
        let found = balances(&user, &book.stock, clock).await;
        assert_eq!(found, ["0", "5", "8", "10"], "{clock}");
    }

    world
        .execute("SELECT drop_partitions('transactions', now() - interval '36 days')")
        .await;

    for clock in CLOCKS {
        let found = balances(&user, &book.stock, clock).await;
        // The balance before the remaining history is unknown.
        assert_eq!(found, ["5", "5", "8", "10"], "{clock}");
    }
}

#[tokio::test]
async fn balances_survive_the_loss_of_all_history() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = user.book("grid", "0", "0").await;
    insert_history(&world, book.stock.parse().expect("an id")).await;

    world
        .execute("SELECT drop_partitions('transactions', now() + interval '2 months')")
        .await;

    let found = balances(&user, &book.stock, "recorded").await;
    assert_eq!(found, ["10"; 4]);
}

#[tokio::test]
async fn performance_survives_the_loss_of_old_history() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = user.book("grid", "0", "0").await;
    let path = format!("/v1/tradings/{}/performance?quote=ETH", book.trading);
    insert_history(&world, book.stock.parse().expect("an id")).await;
    let before = user.get(&path).await;
    assert_eq!(before.data()["opening_value"], "0");

    world
        .execute("SELECT drop_partitions('transactions', now() - interval '36 days')")
        .await;

    let after = user.get(&path).await;
    assert_eq!(after.data()["opening_value"], "5");
    assert_eq!(after.data()["net_flows"], "5");
    assert_eq!(after.data()["closing_value"], "10");
    assert_eq!(after.data()["profit"], "0");
}

#[tokio::test]
async fn rejects_a_range_of_too_many_or_no_periods() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = user.book("grid", "1", "0").await;
    let history = format!("/v1/sub-accounts/{}/history", book.stock);
    let backwards = "from=2018-01-02T00:00:00Z&to=2018-01-01T00:00:00Z";
    let empty = "from=2018-01-01T00:00:00Z&to=2018-01-01T00:00:00Z";
    let hours = "interval=hour&from=2018-01-01T00:00:00Z&to=2019-03-01T00:00:00Z";
    let days = "from=1990-01-01T00:00:00Z&to=2018-01-01T00:00:00Z";
    let far = "from=%2B200000-01-01T00:00:00Z";

    for (query, named) in [
        (backwards, "from must be before to"),
        (empty, "from must be before to"),
        (hours, "at most 10000 intervals of one hour"),
        (days, "at most 10000 intervals of one day"),
        ("from=2900-01-01T00:00:00Z", "from must be before to"),
        (far, "from must lie in the years"),
        ("to=%2B200000-01-01T00:00:00Z", "to must lie in the years"),
        ("to=9999-12-31T23:59:59.999999Z", "to must leave"),
        ("to=0001-01-01T00:00:00Z", "to must leave"),
        ("interval=minute", "interval"),
        ("time=never", "time"),
        ("to=yesterday", "to"),
    ] {
        let answer = user.get(&format!("{history}?{query}")).await;
        answer.assert_error(400, "INVALID_VALUE");
        answer.assert_details(named);
    }
}

#[tokio::test]
async fn accepts_the_time_range_of_the_database() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = user.book("grid", "1", "0").await;
    let account = format!("/v1/sub-accounts/{}", book.stock);

    for query in [
        "history?interval=hour&from=2018-01-01T00:00:00Z&to=2019-02-01T00:00:00Z",
        "history?from=0001-01-01T00:00:00Z&to=0001-01-01T00:00:01Z",
        "balance?at=9999-12-31T23:59:59.999999Z",
    ] {
        user.get(&format!("{account}/{query}")).await.data();
    }
    let beyond = format!("{account}/balance?at=%2B200000-01-01T00:00:00Z");
    user.get(&beyond).await.assert_error(400, "INVALID_VALUE");
}

/// Copies a book with another balance, which identifies the database of a response.
async fn copy_with_balance_7(copy: &TestDatabase, user: &User<'_>, book: &Book) {
    sqlx::query(
        "WITH u AS (INSERT INTO users (id, username) VALUES ($3, 'ann')), \
              t AS (INSERT INTO tradings (id, user_id, name, type) VALUES ($2, $3, 'grid', 'paper')) \
         INSERT INTO sub_accounts (id, trading_id, user_id, name, symbol, balance) VALUES ($1, $2, $3, 'stock', 'ETH', 7)",
    )
    .bind(book.stock.parse::<Uuid>().expect("an id"))
    .bind(book.trading.parse::<Uuid>().expect("an id"))
    .bind(user.id.0)
    .execute(copy.pool())
    .await
    .expect("a copy");
}

#[tokio::test]
async fn reads_only_unchanged_accounts_from_the_replica() {
    let copy = TestDatabase::new().await.expect("a database");
    let url = copy.url_as(Role::Api).expect("an address");
    let world = World::start_with(|changed| {
        changed.replica = Some(settings(&url, PathBuf::new()).database);
    })
    .await;
    let user = world.user("ann").await;
    let book = user.book("grid", "1", "1").await;
    copy_with_balance_7(&copy, &user, &book).await;
    let account = format!("/v1/sub-accounts/{}", book.stock);
    let performance = format!("/v1/tradings/{}/performance?quote=ETH", book.trading);
    let reads = [
        (format!("{account}/balance"), "balance"),
        (format!("{account}/balance?time=event"), "balance"),
        (format!("{account}/history"), "closing_balance"),
        (performance, "closing_value"),
    ];
    let trading: Uuid = book.trading.parse().expect("an id");

    for (path, field) in &reads {
        assert_eq!(user.get(path).await.data()[field], "1", "{path}");
    }
    let rest =
        "UPDATE sub_accounts SET updated_at = now() - interval '1 hour' WHERE trading_id = $1";
    world.run(rest, trading).await;
    for (path, field) in &reads {
        assert_eq!(user.get(path).await.data()[field], "7", "{path}");
    }

    // The replica does not know this account.
    assert_eq!(balance(&user, &book.currency, "").await, "1");
}
