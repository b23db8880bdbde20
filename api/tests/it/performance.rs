//! The performance of a trading over HTTP: whose, of which time, in which asset, and that only event times count.

use crate::world::{Desk, User, World, text};
use futures_util::stream::{FuturesUnordered, StreamExt};
use serde_json::{Value, json};

/// A trade of ETH in BTC at a moment: buys, or sells when there is a sign.
async fn trade(user: &User<'_>, desk: &Desk, at: &str, signed: &str, price: &str, fee: &str) {
    let (log_type, volume) = match signed.strip_prefix('-') {
        Some(volume) => ("short", volume),
        None => ("long", signed),
    };
    let mut body = desk.trade(log_type);
    body["event_time"] = json!(at);
    for (key, value) in [("volume", volume), ("price", price), ("fee", fee)] {
        body["info"][key] = json!(value);
    }
    user.post("/v1/trading-logs", body).await.data();
}

/// A backtest that opens with 100 BTC at a moment.
async fn backtest(user: &User<'_>, name: &str, opened: &str) -> Desk {
    let body = json!({"name": name, "type": "backtest", "sub_accounts": [
        {"name": "stock", "symbol": "ETH"},
        {"name": "currency", "symbol": "BTC", "initial_deposit": "100", "event_time": opened},
    ]});
    let trading = text(&user.post("/v1/tradings", body).await.data()["id"]);
    let accounts = user
        .get(&format!("/v1/sub-accounts?trading_id={trading}"))
        .await;
    let accounts = accounts.data()["sub_accounts"]
        .as_array()
        .expect("a list")
        .clone();
    let id = |symbol: &str| {
        text(
            &accounts
                .iter()
                .find(|a| a["symbol"] == symbol)
                .expect(symbol)["id"],
        )
    };
    Desk {
        stock: id("ETH"),
        currency: id("BTC"),
        trading,
    }
}

/// Every figure but those that name a trading.
async fn figures(user: &User<'_>, desk: &Desk, query: &str) -> Value {
    let mut found = user
        .get(&format!(
            "/v1/tradings/{}/performance?{query}",
            desk.trading
        ))
        .await
        .data()
        .clone();
    found
        .as_object_mut()
        .expect("an object")
        .shift_remove("trading_id");
    found
}

/// A number of an answer.
fn number(value: &Value) -> f64 {
    value.to_string().parse().expect("a number")
}

#[tokio::test]
async fn years_of_a_backtest_booked_in_any_order_within_a_minute_make_the_figures_of_years() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let steps = [
        ("2018-01-01T12:00:00Z", "400", "0.1", "0.4"),
        ("2019-01-01T12:00:00Z", "100", "0.2", "0.6"),
        ("2019-06-01T12:00:00Z", "-200", "0.3", "1"),
        ("2020-01-01T12:00:00Z", "-100", "0.1", "2"),
    ];
    let desk = backtest(&user, "in order", "2018-01-01T00:00:00Z").await;
    for (at, volume, price, fee) in steps {
        trade(&user, &desk, at, volume, price, fee).await;
    }
    let found = figures(&user, &desk, "").await;
    // 100, then 59.6 + 40, then 39 + 100, then 98 + 90, then 106 + 20. On average 0.122 a unit with fees: 59 - 24.4 was
    // won, and 8 - 12.2 was lost.
    let expected = [
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
    ];
    for (name, value) in expected {
        assert_eq!(found[name], value, "{name}: {found}");
    }
    let fall = &found["max_drawdown"];
    assert_eq!(
        (&fall["peak"], &fall["recovery"]),
        (&json!("2019-06-01T12:00:00Z"), &Value::Null)
    );
    assert!(
        (number(&fall["depth"]) / (62.0 / 188.0)).ln().abs() < 1e-12,
        "{fall}"
    );
    let years = 730.5 / 365.25;
    assert!(
        (number(&found["cagr"]) / (1.26_f64.powf(1.0 / years) - 1.0))
            .ln()
            .abs()
            < 1e-9,
        "{found}"
    );

    let other = backtest(&user, "out of order", "2018-01-01T00:00:00Z").await;
    for at in [1, 0, 3, 2] {
        let (at, volume, price, fee) = steps[at];
        trade(&user, &other, at, volume, price, fee).await;
    }
    assert_eq!(figures(&user, &other, "").await, found);

    let curve = user
        .get(&format!(
            "/v1/tradings/{}/equity?interval=hour",
            desk.trading
        ))
        .await;
    let points = curve.data()["points"].as_array().expect("a list");
    let shown: Vec<String> = points
        .iter()
        .map(|point| {
            format!(
                "{} {} {}",
                text(&point["time"]),
                text(&point["value"]),
                text(&point["net_flows"])
            )
        })
        .collect();
    let expected = [
        "2018-01-01T00:00:00Z 100 100",
        "2018-01-01T12:00:00Z 99.6 0",
        "2019-01-01T12:00:00Z 139 0",
        "2019-06-01T12:00:00Z 188 0",
        "2020-01-01T12:00:00Z 126 0",
    ];
    assert_eq!(shown, expected);
    assert_eq!(points[4]["unit_value"], json!(1.26));
    let last = figures(
        &user,
        &desk,
        "from=2019-06-02T00:00:00Z&to=2020-02-01T00:00:00Z&quote=btc",
    )
    .await;
    assert_eq!(
        (&last["opening_value"], &last["profit"], &last["trades"]),
        (&json!("188"), &json!("-62"), &json!(1))
    );
    assert_eq!(
        (&last["from"], &last["to"]),
        (
            &json!("2019-06-02T00:00:00Z"),
            &json!("2020-02-01T00:00:00Z")
        )
    );
    let in_stock = figures(&user, &desk, "quote=ETH").await;
    assert_eq!(
        (&in_stock["quote"], &in_stock["closing_value"]),
        (&json!("ETH"), &json!("1260"))
    );
}

#[tokio::test]
async fn a_trading_that_never_traded_a_deleted_account_and_a_late_deposit_have_their_answers() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let idle = user.desk("idle", "1", "2").await;
    let found = figures(&user, &idle, "").await;
    assert_eq!(
        (&found["quote"], &found["time_weighted_return"]),
        (&Value::Null, &Value::Null),
        "{found}"
    );
    let found = figures(&user, &idle, "quote=BTC").await;
    assert_eq!(
        (&found["closing_value"], &found["unpriced"]),
        (&json!("2"), &json!(["ETH"]))
    );
    let equity = user
        .get(&format!("/v1/tradings/{}/equity", idle.trading))
        .await;
    assert_eq!(
        (&equity.data()["points"], &equity.data()["quote"]),
        (&json!([]), &Value::Null)
    );

    let desk = backtest(&user, "closed", "2018-01-01T00:00:00Z").await;
    trade(&user, &desk, "2018-02-01T00:00:00Z", "100", "0.1", "0").await;
    trade(&user, &desk, "2018-03-01T00:00:00Z", "-100", "0.2", "0").await;
    user.delete(&format!("/v1/sub-accounts/{}", desk.stock))
        .await
        .data();
    let found = figures(&user, &desk, "").await;
    assert_eq!(
        (&found["closing_value"], &found["gross_profit"]),
        (&json!("110"), &json!("10"))
    );

    let late = user.desk("late", "0", "100").await;
    trade(&user, &late, "2018-02-01T00:00:00Z", "100", "0.1", "0").await;
    let found = figures(&user, &late, "").await;
    assert_eq!(
        (&found["overdrawn"], &found["sharpe_ratio"]),
        (&json!(["BTC"]), &Value::Null),
        "{found}"
    );
}

#[tokio::test]
async fn wrong_parameters_are_refused_by_name() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let desk = user.desk("grid", "1", "1").await;
    for operation in ["performance", "equity"] {
        for (query, named) in [
            (
                "from=2018-01-01T00:00:00Z&to=2018-01-01T00:00:00Z",
                "from must be before to",
            ),
            ("to=%2B200000-01-01T00:00:00Z", "to must lie in the years"),
            ("quote=", "quote must be 1 to 20"),
            ("quote=BTC%2FUSDT", "quote must be 1 to 20"),
            ("from=once", "from"),
        ] {
            let answer = user
                .get(&format!(
                    "/v1/tradings/{}/{operation}?{query}",
                    desk.trading
                ))
                .await;
            assert_eq!(
                answer.refusal(),
                (400, "INVALID_VALUE"),
                "{operation} {query}"
            );
            assert!(
                text(&answer.body["error"]["details"]).contains(named),
                "{query}: {}",
                answer.text
            );
        }
    }
    let wrong = user
        .get(&format!(
            "/v1/tradings/{}/equity?interval=week",
            desk.trading
        ))
        .await;
    assert_eq!(wrong.refusal(), (400, "INVALID_VALUE"));
}

#[tokio::test]
async fn a_user_has_two_of_these_under_way_at_once() {
    let world = World::start().await;
    let (ann, bob) = (world.user("ann").await, world.user("bob").await);
    let (desk, other) = (
        ann.desk("grid", "10", "10").await,
        bob.desk("grid", "10", "10").await,
    );
    let mut locked = world.database.pool().begin().await.expect("begin");
    sqlx::raw_sql("LOCK TABLE transactions")
        .execute(&mut *locked)
        .await
        .expect("locked");
    let path = format!("/v1/tradings/{}/performance?quote=BTC", desk.trading);
    let mut asked: FuturesUnordered<_> = (0..3).map(|_| ann.get(&path)).collect();
    let first = asked.next().await.expect("an answer");
    assert_eq!(first.refusal(), (429, "RATE_LIMITED"));
    locked.rollback().await.expect("rolled back");
    while let Some(answer) = asked.next().await {
        answer.data();
    }
    figures(&bob, &other, "quote=BTC").await;
}
