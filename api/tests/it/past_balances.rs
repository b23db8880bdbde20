//! What a balance was, and how it changed, by both times.

use crate::world::{User, World, settings, text};
use serde_json::{Value, json};
use std::path::PathBuf;
use tiris_testing::TestDatabase;
use uuid::Uuid;

/// Deposits, or withdraws when there is a sign, at an event time; answers when it was booked.
async fn book(user: &User<'_>, account: &str, signed: &str, event_time: &str) -> String {
    let (action, amount) = match signed.strip_prefix('-') {
        Some(amount) => ("withdraw", amount),
        None => ("deposit", signed),
    };
    let body = json!({"amount": amount, "event_time": event_time});
    let moved = user
        .post(&format!("/v1/sub-accounts/{account}/{action}"), body)
        .await;
    text(&moved.data()["transaction"]["timestamp"])
}

async fn balance(user: &User<'_>, account: &str, query: &str) -> String {
    text(
        &user
            .get(&format!("/v1/sub-accounts/{account}/balance?{query}"))
            .await
            .data()["balance"],
    )
}

/// The pieces of a history, each as one line.
fn lines(history: &Value) -> Vec<String> {
    let pieces = history["pieces"].as_array().expect("a list").iter();
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
    pieces.map(line).collect()
}

#[tokio::test]
async fn a_backtest_booked_within_a_minute_has_its_balances_by_event_time() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let desk = user.desk("backtest", "0", "0").await;
    let stock = &desk.stock;
    // What happened last is booked first.
    let first = book(&user, stock, "8", "2018-01-03T10:30:00Z").await;
    let second = book(&user, stock, "-3", "2018-01-02T09:00:00Z").await;
    book(&user, stock, "5", "2018-01-01T08:00:00Z").await;
    book(&user, stock, "1", "2018-01-03T10:59:59.999999Z").await;
    for (at, expected) in [
        ("2018-01-01T07:59:59.999999Z", "0"),
        ("2018-01-01T08:00:00Z", "5"),
        ("2018-01-02T09:00:00Z", "2"),
        ("2018-01-03T10:30:00Z", "10"),
        ("2019-01-01T00:00:00Z", "11"),
    ] {
        assert_eq!(
            balance(&user, stock, &format!("time=event&at={at}")).await,
            expected,
            "{at}"
        );
    }
    for (query, expected) in [
        ("at=2018-06-01T00:00:00Z".to_owned(), "0"),
        (format!("at={first}"), "8"),
        (format!("time=recorded&at={second}"), "5"),
        (String::new(), "11"),
    ] {
        assert_eq!(balance(&user, stock, &query).await, expected, "{query}");
    }
    let history = user
        .get(&format!(
            "/v1/sub-accounts/{stock}/history?time=event&interval=hour"
        ))
        .await;
    let expected = [
        "2018-01-01T08:00:00Z 0 5 0 5 1",
        "2018-01-02T09:00:00Z 5 0 3 2 1",
        "2018-01-03T10:00:00Z 2 9 0 11 2",
    ];
    assert_eq!(lines(history.data()), expected);
    assert_eq!(history.data()["to"], "2018-01-03T11:00:00Z");
    let part = "time=event&from=2018-01-02T23:00:00Z&to=2018-01-03T00:00:00.000001Z";
    let days = user
        .get(&format!("/v1/sub-accounts/{stock}/history?{part}"))
        .await;
    assert_eq!(
        lines(days.data()),
        [
            "2018-01-02T00:00:00Z 5 0 3 2 1",
            "2018-01-03T00:00:00Z 2 9 0 11 2"
        ]
    );
    let ends =
        ["from", "to", "opening_balance", "closing_balance"].map(|name| text(&days.data()[name]));
    assert_eq!(
        ends,
        ["2018-01-02T00:00:00Z", "2018-01-04T00:00:00Z", "5", "11"]
    );
    let recorded = user.get(&format!("/v1/sub-accounts/{stock}/history")).await;
    let pieces = lines(recorded.data()).join(" ");
    assert!(pieces.contains(" 11 "), "{pieces}");
    let idle = user
        .get(&format!("/v1/sub-accounts/{}/history", desk.currency))
        .await;
    assert_eq!(
        (&idle.data()["pieces"], &idle.data()["closing_balance"]),
        (&json!([]), &json!("0"))
    );
}

#[tokio::test]
async fn what_retention_took_is_still_known_by_what_it_left() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let desk = user.desk("grid", "0", "0").await;
    let account: Uuid = desk.stock.parse().expect("an id");
    let pool = world.database.pool();
    let (earlier, later) = ("now() - interval '70 days'", "now() - interval '35 days'");
    sqlx::query("SELECT ensure_partitions(now() - interval '3 months', 3)")
        .execute(pool)
        .await
        .expect("partitions");
    for (sequence, at, amount, closing) in
        [(1, earlier, 5, 5), (2, later, 3, 8), (3, "now()", 2, 10)]
    {
        let insert = format!(
            "INSERT INTO transactions (id, timestamp, user_id, trading_id, sub_account_id, event_time, direction, reason, \
                 amount, closing_balance, sequence, trading_log_id) \
             SELECT gen_random_uuid(), {at}, user_id, trading_id, id, {at}, 'credit', 'deposit', {amount}, {closing}, \
                 {sequence}, gen_random_uuid() FROM sub_accounts WHERE id = $1"
        );
        sqlx::query(sqlx::AssertSqlSafe(insert))
            .bind(account)
            .execute(pool)
            .await
            .expect("a posting");
    }
    world
        .run(
            "UPDATE sub_accounts SET balance = 10, sequence = 3 WHERE id = $1",
            account,
        )
        .await;
    let at = |days: i64| {
        let time = chrono::Utc::now() - chrono::Duration::days(days);
        format!("at={}", time.format("%Y-%m-%dT%H:%M:%SZ"))
    };
    let all = async |clock: &str| {
        let mut found = Vec::new();
        for days in [80, 60, 20, 0] {
            found.push(
                balance(
                    &user,
                    &desk.stock,
                    &format!("time={clock}&{}", at(days - i64::from(days == 0))),
                )
                .await,
            );
        }
        found
    };
    for clock in ["recorded", "event"] {
        assert_eq!(all(clock).await, ["0", "5", "8", "10"], "{clock}");
    }
    let performance = format!("/v1/tradings/{}/performance?quote=ETH", desk.trading);
    assert_eq!(user.get(&performance).await.data()["opening_value"], "0");
    sqlx::query("SELECT drop_partitions('transactions', now() - interval '36 days')")
        .execute(pool)
        .await
        .expect("dropped");
    for clock in ["recorded", "event"] {
        let found = all(clock).await;
        assert_eq!(found[1..], ["5", "8", "10"], "{clock}");
        assert_eq!(
            found[0], "5",
            "{clock}: nothing is known of what was before"
        );
    }
    let measured = user.get(&performance).await;
    let figures = ["opening_value", "net_flows", "closing_value", "profit"]
        .map(|name| text(&measured.data()[name]));
    assert_eq!(figures, ["5", "5", "10", "0"]);
    sqlx::query("SELECT drop_partitions('transactions', now() + interval '2 months')")
        .execute(pool)
        .await
        .expect("dropped");
    assert_eq!(all("recorded").await, ["10"; 4]);
}

#[tokio::test]
async fn a_range_of_too_many_pieces_or_none_is_refused_by_name() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let desk = user.desk("grid", "1", "0").await;
    let history = format!("/v1/sub-accounts/{}/history", desk.stock);
    for (query, named) in [
        (
            "from=2018-01-02T00:00:00Z&to=2018-01-01T00:00:00Z",
            "from must be before to",
        ),
        (
            "from=2018-01-01T00:00:00Z&to=2018-01-01T00:00:00Z",
            "from must be before to",
        ),
        (
            "interval=hour&from=2018-01-01T00:00:00Z&to=2019-03-01T00:00:00Z",
            "at most 10000 pieces of one hour",
        ),
        (
            "from=1990-01-01T00:00:00Z&to=2018-01-01T00:00:00Z",
            "at most 10000 pieces of one day",
        ),
        ("from=2900-01-01T00:00:00Z", "from must be before to"),
        (
            "from=%2B200000-01-01T00:00:00Z",
            "from must lie in the years",
        ),
        ("to=%2B200000-01-01T00:00:00Z", "to must lie in the years"),
        ("to=9999-12-31T23:59:59.999999Z", "to must leave"),
        ("to=0001-01-01T00:00:00Z", "to must leave"),
        ("interval=minute", "interval"),
        ("time=never", "time"),
        ("to=yesterday", "to"),
    ] {
        let answer = user.get(&format!("{history}?{query}")).await;
        assert_eq!(answer.refusal(), (400, "INVALID_VALUE"), "{query}");
        assert!(
            text(&answer.body["error"]["details"]).contains(named),
            "{query}: {}",
            answer.text
        );
    }
    user.get(&format!(
        "{history}?interval=hour&from=2018-01-01T00:00:00Z&to=2019-02-01T00:00:00Z"
    ))
    .await
    .data();
    let least = "from=0000-01-01T00:00:00Z&to=0000-01-01T00:00:01Z";
    user.get(&format!("{history}?{least}")).await.data();
    let past = user
        .get(&format!(
            "/v1/sub-accounts/{}/balance?at=%2B200000-01-01T00:00:00Z",
            desk.stock
        ))
        .await;
    assert_eq!(past.refusal(), (400, "INVALID_VALUE"));
    user.get(&format!(
        "/v1/sub-accounts/{}/balance?at=9999-12-31T23:59:59.999999Z",
        desk.stock
    ))
    .await
    .data();
}

#[tokio::test]
async fn what_has_rested_for_a_minute_is_read_from_the_replica_and_what_has_not_never() {
    let copy = TestDatabase::new().await.expect("a database");
    let url = copy.url().to_owned();
    let world = World::start_with(|changed| {
        changed.replica = Some(settings(&url, PathBuf::new()).database);
    })
    .await;
    let user = world.user("ann").await;
    let desk = user.desk("grid", "1", "1").await;
    // Another balance, so that it is known who answers.
    sqlx::query(
        "WITH u AS (INSERT INTO users (id, username) VALUES ($3, 'ann')), \
              t AS (INSERT INTO tradings (id, user_id, name, type) VALUES ($2, $3, 'grid', 'paper')) \
         INSERT INTO sub_accounts (id, trading_id, user_id, name, symbol, balance) VALUES ($1, $2, $3, 'stock', 'ETH', 7)",
    )
    .bind(desk.stock.parse::<Uuid>().expect("an id"))
    .bind(desk.trading.parse::<Uuid>().expect("an id"))
    .bind(user.id.0)
    .execute(copy.pool())
    .await
    .expect("a copy");
    let (stock, trading) = (&desk.stock, &desk.trading);
    let asked = [
        (format!("/v1/sub-accounts/{stock}/balance"), "balance"),
        (
            format!("/v1/sub-accounts/{stock}/balance?time=event"),
            "balance",
        ),
        (
            format!("/v1/sub-accounts/{stock}/history"),
            "closing_balance",
        ),
        (
            format!("/v1/tradings/{trading}/performance?quote=ETH"),
            "closing_value",
        ),
    ];
    for (path, field) in &asked {
        assert_eq!(user.get(path).await.data()[field], "1", "{path}");
    }
    let rested =
        "UPDATE sub_accounts SET updated_at = now() - interval '1 hour' WHERE trading_id = $1";
    world.run(rested, trading.parse().expect("an id")).await;
    for (path, field) in &asked {
        assert_eq!(user.get(path).await.data()[field], "7", "{path}");
    }
    // The copy does not know this one.
    assert_eq!(balance(&user, &desk.currency, "").await, "1");
}
