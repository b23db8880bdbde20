//! The performance of a trading over HTTP: owner, range and asset, by event times only.

use crate::world::book::Book;
use crate::world::{User, World, text};
use futures_util::stream::{FuturesUnordered, StreamExt};
use serde_json::{Value, json};
use tiris_domain::ids::AccountId;
use tiris_domain::ledger::{Belief, Command, Direction, Movement};
use tiris_store::ledger::{Disposition, Entry, apply_batch};

/// Buys ETH for BTC at a moment, or sells a negative volume.
async fn trade(user: &User<'_>, book: &Book, at: &str, signed: &str, price: &str, fee: &str) {
    let (log_type, volume) = match signed.strip_prefix('-') {
        Some(volume) => ("short", volume),
        None => ("long", signed),
    };
    let mut body = book.trade(log_type);
    body["event_time"] = json!(at);

    for (key, value) in [("volume", volume), ("price", price), ("fee", fee)] {
        body["info"][key] = json!(value);
    }

    user.log(body).await;
}

/// Creates a backtest with 100 BTC at a moment.
async fn backtest(user: &User<'_>, name: &str, opened: &str) -> Book {
    user.book_of(json!({"name": name, "type": "backtest", "sub_accounts": [
        {"name": "stock", "symbol": "ETH"},
        {"name": "currency", "symbol": "BTC", "initial_deposit": "100", "event_time": opened},
    ]}))
    .await
}

/// Trades over years: time, volume, price and fee.
const STEPS: [[&str; 4]; 4] = [
    ["2018-01-01T12:00:00Z", "400", "0.1", "0.4"],
    ["2019-01-01T12:00:00Z", "100", "0.2", "0.6"],
    ["2019-06-01T12:00:00Z", "-200", "0.3", "1"],
    ["2020-01-01T12:00:00Z", "-100", "0.1", "2"],
];

/// Creates a backtest with the trades over years, booked in this order.
async fn years(user: &User<'_>, name: &str, order: [usize; 4]) -> Book {
    let book = backtest(user, name, "2018-01-01T00:00:00Z").await;
    for [at, volume, price, fee] in order.map(|step| STEPS[step]) {
        trade(user, &book, at, volume, price, fee).await;
    }
    book
}

/// Asserts that a number is approximately as expected.
#[track_caller]
#[expect(clippy::float_arithmetic, reason = "figures to compare with")]
fn assert_about(value: &Value, expected: f64) {
    let found: f64 = value.to_string().parse().expect("a number");
    assert!((found / expected).ln().abs() < 1e-9, "{found} {expected}");
}

/// Returns all figures without those that identify the trading.
async fn figures(user: &User<'_>, book: &Book, query: &str) -> Value {
    let path = format!("/v1/tradings/{}/performance?{query}", book.trading);
    let mut found = user.get(&path).await.data().clone();
    found
        .as_object_mut()
        .expect("an object")
        .shift_remove("trading_id");
    found
}

#[tokio::test]
async fn computes_the_figures_of_a_backtest_over_years() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = years(&user, "in order", [0, 1, 2, 3]).await;

    let found = figures(&user, &book, "").await;

    // Equity: 100, 59.6 + 40, 39 + 100, 98 + 90, 106 + 20. The average cost is 0.122 a unit with fees: 59 - 24.4 is a gain,
    // and 8 - 12.2 a loss.
    for (name, value) in [
        ("quote", json!("BTC")),
        ("from", json!("2018-01-01T00:00:00Z")),
        ("to", json!("2020-01-01T12:00:00Z")),
        ("opening_value", json!("0")),
        ("net_flows", json!("100")),
        ("closing_value", json!("126")),
        ("profit", json!("26")),
        ("time_weighted_return", json!(0.26)),
        ("trades", json!(4)),
        ("closing_trades", json!(2)),
        ("win_rate", json!(0.5)),
        ("gross_profit", json!("34.6")),
        ("gross_loss", json!("4.2")),
        ("fees", json!("4")),
        ("turnover", json!("130")),
        ("unpriced", json!([])),
        ("overdrawn", json!([])),
    ] {
        assert_eq!(found[name], value, "{name}: {found}");
    }
    let fall = &found["max_drawdown"];
    assert_eq!(fall["peak"], "2019-06-01T12:00:00Z");
    assert_eq!(fall["recovery"], Value::Null);
    assert_about(&fall["depth"], 62.0 / 188.0);
    let years = 730.5 / 365.25;
    assert_about(&found["cagr"], 1.26_f64.powf(1.0 / years) - 1.0);
}

#[tokio::test]
async fn figures_are_independent_of_the_order_of_booking() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let ordered = years(&user, "in order", [0, 1, 2, 3]).await;
    let shuffled = years(&user, "out of order", [1, 0, 3, 2]).await;

    let expected = figures(&user, &ordered, "").await;
    let found = figures(&user, &shuffled, "").await;

    assert_eq!(found, expected);
}

/// Returns a bot's movement of an order: symbol, signed amount and reason.
fn movement(user: &User<'_>, book: &Book, [symbol, signed, reason]: [&str; 3]) -> Entry {
    let account = match symbol {
        "ETH" => &book.stock,
        _ => &book.currency,
    };
    let (direction, amount) = match signed.strip_prefix('-') {
        Some(amount) => (Direction::Debit, amount),
        None => (Direction::Credit, signed),
    };
    let movement = Movement {
        account: AccountId(account.parse().expect("an id")),
        asset: symbol.parse().expect("an asset"),
        direction,
        amount: amount.parse().expect("an amount"),
        order: "o".parse().ok(),
        pair: None,
        reason: reason.to_owned(),
        belief: Belief::default(),
    };

    Entry {
        order: "o".parse().ok(),
        event_time: "2018-01-02T00:00:00Z".parse().ok(),
        ..book.entry(user.id, Command::Move(movement))
    }
}

/// Books movements of one order at one moment in a backtest with 100 BTC, and returns its figures.
async fn figures_of_legs(user: &User<'_>, world: &World, name: &str, legs: &[[&str; 3]]) -> Value {
    let book = backtest(user, name, "2018-01-01T00:00:00Z").await;
    let entries: Vec<Entry> = legs.iter().map(|leg| movement(user, &book, *leg)).collect();
    let mut connection = world.pool().acquire().await.expect("a connection");
    let batch = apply_batch(&mut connection, &entries, 7)
        .await
        .expect("booked");
    let is_applied = |disposition: &Disposition| matches!(disposition, Disposition::Applied(_));
    assert!(batch.dispositions.iter().all(is_applied), "{name}");

    figures(user, &book, "quote=BTC").await
}

#[tokio::test]
async fn the_order_of_the_legs_of_a_trade_is_no_profit() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let legs = [
        ["ETH", "50", "trade"],
        ["ETH", "1", "trade"],
        ["BTC", "-1", "trade"],
        ["BTC", "-50", "trade"],
    ];

    for order in [[0, 1, 2, 3], [0, 2, 1, 3], [3, 1, 0, 2], [2, 3, 1, 0]] {
        let legs = order.map(|leg: usize| legs[leg]);
        let found = figures_of_legs(&user, &world, &format!("{order:?}"), &legs).await;

        assert_eq!(found["closing_value"], "100", "{order:?}");
        assert_eq!(found["profit"], "0", "{order:?}");
        assert_eq!(found["time_weighted_return"], json!(0.0), "{order:?}");
        assert_eq!(found["trades"], 1, "{order:?}");
    }
}

#[tokio::test]
async fn commissions_and_rebates_of_a_trade_are_fees() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let legs = [
        ["ETH", "50", "trade"],
        ["BTC", "-50", "trade"],
        ["BTC", "-0.75", "Commission"],
        ["ETH", "0.5", "rebate"],
    ];

    let found = figures_of_legs(&user, &world, "fees", &legs).await;

    assert_eq!(found["closing_value"], "99.75");
    assert_eq!(found["net_flows"], "100");
    assert_eq!(found["profit"], "-0.25");
    assert_eq!(found["fees"], "0.25");
    assert_eq!(found["turnover"], "50");
}

#[tokio::test]
async fn the_curve_has_a_point_for_each_hour_with_a_trade() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = years(&user, "grid", [0, 1, 2, 3]).await;

    let curve = format!("/v1/tradings/{}/equity?interval=hour", book.trading);
    let curve = user.get(&curve).await;

    let points = curve.list("points");
    let line = |point: &Value| {
        let fields = ["time", "value", "net_flows"].map(|field| text(&point[field]));
        fields.join(" ")
    };
    let shown: Vec<String> = points.iter().map(line).collect();
    let expected = [
        "2018-01-01T00:00:00Z 100 100",
        "2018-01-01T12:00:00Z 99.6 0",
        "2019-01-01T12:00:00Z 139 0",
        "2019-06-01T12:00:00Z 188 0",
        "2020-01-01T12:00:00Z 126 0",
    ];
    assert_eq!(shown, expected);
    assert_eq!(points[4]["unit_value"], 1.26);
}

#[tokio::test]
async fn computes_figures_of_a_range_and_in_another_asset() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = years(&user, "grid", [0, 1, 2, 3]).await;

    let range = "from=2019-06-02T00:00:00Z&to=2020-02-01T00:00:00Z&quote=btc";
    let last = figures(&user, &book, range).await;
    let in_stock = figures(&user, &book, "quote=ETH").await;

    assert_eq!(last["opening_value"], "188");
    assert_eq!(last["profit"], "-62");
    assert_eq!(last["trades"], 1);
    assert_eq!(last["from"], "2019-06-02T00:00:00Z");
    assert_eq!(last["to"], "2020-02-01T00:00:00Z");
    assert_eq!(in_stock["quote"], "ETH");
    assert_eq!(in_stock["closing_value"], "1260");
}

#[tokio::test]
async fn a_trading_without_trades_has_figures_without_prices() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let idle = user.book("idle", "1", "2").await;

    let found = figures(&user, &idle, "").await;
    let in_btc = figures(&user, &idle, "quote=BTC").await;
    let equity = format!("/v1/tradings/{}/equity", idle.trading);
    let equity = user.get(&equity).await;

    assert_eq!(found["quote"], Value::Null, "{found}");
    assert_eq!(found["time_weighted_return"], Value::Null, "{found}");
    assert_eq!(in_btc["closing_value"], "2");
    assert_eq!(in_btc["unpriced"], json!(["ETH"]));
    assert_eq!(equity.data()["points"], json!([]));
    assert_eq!(equity.data()["quote"], Value::Null);
}

#[tokio::test]
async fn a_deleted_account_still_counts() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = backtest(&user, "closed", "2018-01-01T00:00:00Z").await;
    trade(&user, &book, "2018-02-01T00:00:00Z", "100", "0.1", "0").await;
    trade(&user, &book, "2018-03-01T00:00:00Z", "-100", "0.2", "0").await;
    let account = format!("/v1/sub-accounts/{}", book.stock);
    user.delete(&account).await.data();

    let found = figures(&user, &book, "").await;

    assert_eq!(found["closing_value"], "110");
    assert_eq!(found["gross_profit"], "10");
}

#[tokio::test]
async fn reports_a_trade_before_its_deposit_as_overdrawn() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let late = user.book("late", "0", "100").await;
    trade(&user, &late, "2018-02-01T00:00:00Z", "100", "0.1", "0").await;

    let found = figures(&user, &late, "").await;

    assert_eq!(found["overdrawn"], json!(["BTC"]), "{found}");
    assert_eq!(found["sharpe_ratio"], Value::Null, "{found}");
}

#[tokio::test]
async fn names_invalid_parameters() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = user.book("grid", "1", "1").await;
    let trading = format!("/v1/tradings/{}", book.trading);
    let empty = "from=2018-01-01T00:00:00Z&to=2018-01-01T00:00:00Z";

    for operation in ["performance", "equity"] {
        for (query, named) in [
            (empty, "from must be before to"),
            ("to=%2B200000-01-01T00:00:00Z", "to must lie in the years"),
            ("quote=", "quote must be 1 to 64"),
            ("quote=BTC%2FUSDT", "quote must be 1 to 64"),
            ("from=once", "from"),
        ] {
            let answer = user.get(&format!("{trading}/{operation}?{query}")).await;
            answer.assert_error(400, "INVALID_VALUE");
            answer.assert_details(named);
        }
    }
    let wrong = user.get(&format!("{trading}/equity?interval=week")).await;
    wrong.assert_error(400, "INVALID_VALUE");
}

#[tokio::test]
async fn limits_a_user_to_two_concurrent_requests() {
    let world = World::start().await;
    let ann = world.user("ann").await;
    let bob = world.user("bob").await;
    let book = ann.book("grid", "10", "10").await;
    let other = bob.book("grid", "10", "10").await;

    let mut locked = world.pool().begin().await.expect("begin");
    sqlx::raw_sql("LOCK TABLE transactions")
        .execute(&mut *locked)
        .await
        .expect("locked");

    let path = format!("/v1/tradings/{}/performance?quote=BTC", book.trading);
    let mut asked: FuturesUnordered<_> = (0..3).map(|_| ann.get(&path)).collect();
    let first = asked.next().await.expect("an answer");

    first.assert_error(429, "RATE_LIMITED");

    locked.rollback().await.expect("rolled back");

    while let Some(answer) = asked.next().await {
        answer.data();
    }

    figures(&bob, &other, "quote=BTC").await;
}
