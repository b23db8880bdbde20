//! The list of orders, and one order with its holds and its history.

use crate::world::book::Book;
use crate::world::orders::NewOrder;
use crate::world::{Answer, User, World, text};
use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use serde_json::{Value, json};

/// Returns the order ids of a list.
fn order_ids(list: &Answer) -> Vec<String> {
    let orders = list.list("orders").iter();
    orders.map(|order| text(&order["order_id"])).collect()
}

fn time(value: &Value) -> DateTime<Utc> {
    text(value).parse().expect("a time")
}

#[tokio::test]
async fn an_order_shows_what_was_ordered_and_filled() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = user.book("grid", "10", "10").await;
    let at = Utc::now().trunc_subsecs(6);
    let new = NewOrder {
        status: "partially_filled",
        filled: "0.3",
        quote_filled: "0.01",
        fees: json!({"BTC": "0.00001", "ABC": "-0.5"}),
        fills: 2,
        event_days_ago: 1,
        at,
        ..NewOrder::default()
    };
    let id = user.order(&book, new).await;

    let list = user.get("/v1/orders").await;

    let mut order = list.list("orders")[0].clone();
    for name in ["created_at", "updated_at"] {
        assert_eq!(time(&order[name].take()), at);
    }
    for name in ["first_event_time", "last_event_time"] {
        assert_eq!(time(&order[name].take()), at - TimeDelta::days(1));
    }
    let expected = json!({
        "id": id, "user_id": user.id, "trading_id": book.trading, "symbol": "ETH/BTC", "order_id": "o1", "side": "buy",
        "type": "limit", "amount": "2", "price": "0.05", "filled": "0.3", "quote_filled": "0.01",
        "average_price": "0.03333333333333333333333333333333333333333",
        "fees": [{"asset": "ABC", "amount": "-0.5"}, {"asset": "BTC", "amount": "0.00001"}],
        "status": "partially_filled", "accounts": [book.stock], "fills": 2,
        "created_at": null, "updated_at": null, "first_event_time": null, "last_event_time": null,
    });
    assert_eq!(order, expected);
}

#[tokio::test]
async fn an_order_that_only_a_lock_has_named_has_no_pair_and_price() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = user.book("grid", "10", "10").await;
    let unknown = NewOrder {
        symbol: "",
        status: "unknown",
        ..NewOrder::default()
    };
    user.order(&book, unknown).await;
    let forget = "UPDATE orders SET side = NULL, type = NULL, amount = NULL, price = NULL";
    world.execute(forget).await;

    let list = user.get("/v1/orders").await;

    let order = &list.list("orders")[0];
    for name in ["symbol", "side", "type", "amount", "price", "average_price"] {
        assert_eq!(order[name], Value::Null, "{name}: {list}");
    }
    assert_eq!(order["status"], "unknown");
    assert_eq!(order["filled"], "0");
}

/// Creates orders of two tradings: one open today, one filled two days ago, and one of another pair whose events are a
/// year old.
async fn three_orders(user: &User<'_>) -> Book {
    let book = user.book("grid", "10", "10").await;
    let other = user.book("other", "10", "10").await;
    let now = Utc::now();
    let open = NewOrder {
        order_id: "open",
        ..NewOrder::default()
    };
    let filled = NewOrder {
        order_id: "filled",
        status: "filled",
        filled: "2",
        quote_filled: "0.1",
        fills: 1,
        at: now - TimeDelta::days(2),
        ..NewOrder::default()
    };
    let old = NewOrder {
        order_id: "open",
        symbol: "SOL/BTC",
        status: "cancelled",
        event_days_ago: 365,
        at: now - TimeDelta::minutes(1),
        ..NewOrder::default()
    };
    user.order(&book, open).await;
    user.order(&book, filled).await;
    user.order(&other, old).await;
    book
}

#[tokio::test]
async fn each_filter_selects_its_orders() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = three_orders(&user).await;
    let stamp = |days: i64| {
        let time = Utc::now() - TimeDelta::days(days);
        time.format("%Y-%m-%dT%H:%M:%SZ").to_string()
    };

    let cases: [(String, &[&str]); 11] = [
        (String::new(), &["open", "open", "filled"]),
        (format!("trading_id={}", book.trading), &["open", "filled"]),
        ("status=open".to_owned(), &["open"]),
        ("status=filled".to_owned(), &["filled"]),
        ("symbol=sol/btc".to_owned(), &["open"]),
        ("order_id=open&symbol=ETH/BTC".to_owned(), &["open"]),
        ("order_id=none".to_owned(), &[]),
        (format!("from={}", stamp(1)), &["open", "open"]),
        (format!("to={}", stamp(1)), &["filled"]),
        (format!("time=event&to={}", stamp(100)), &["open"]),
        (format!("time=event&from={}", stamp(1)), &["open"]),
    ];

    for (query, expected) in cases {
        let list = user.get(&format!("/v1/orders?{query}")).await;
        assert_eq!(order_ids(&list), expected, "{query}");
    }
}

#[tokio::test]
async fn a_filter_without_meaning_is_refused() {
    let world = World::start().await;
    let user = world.user("ann").await;

    for query in [
        "status=done",
        "symbol=BTC",
        "limit=0",
        "cursor=x",
        "time=never",
    ] {
        let refused = user.get(&format!("/v1/orders?{query}")).await;
        refused.assert_error(400, "INVALID_VALUE");
    }
}

#[tokio::test]
async fn pages_have_every_order_once_also_those_of_one_batch() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = user.book("grid", "10", "10").await;
    let at = Utc::now();
    for number in 0..7 {
        let new = NewOrder {
            order_id: &format!("o{number}"),
            at: at - TimeDelta::seconds(number / 3),
            ..NewOrder::default()
        };
        user.order(&book, new).await;
    }
    let whole = order_ids(&user.get("/v1/orders").await);

    let mut paged = Vec::new();
    let mut path = "/v1/orders?limit=2".to_owned();
    loop {
        let page = user.get(&path).await;
        paged.extend(order_ids(&page));
        let cursor = &page.data()["pagination"]["next_cursor"];
        if cursor.is_null() {
            break;
        }
        path = format!("/v1/orders?limit=2&cursor={}", text(cursor));
    }

    assert_eq!(whole.len(), 7);
    assert_eq!(paged, whole);
}

#[tokio::test]
async fn one_order_shows_its_holds_on_all_accounts() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = user.book("grid", "10", "10").await;
    let id = user.order(&book, NewOrder::default()).await;
    world.hold(&book.currency, "o1", "0.25").await;
    world.give_hold_its_pair("o1", "ETH/BTC").await;
    world.hold(&book.stock, "o1", "0.5").await;
    world.hold(&book.stock, "o2", "1").await;

    let order = user.get(&format!("/v1/orders/{id}")).await;
    let holds = user
        .get(&format!("/v1/sub-accounts/{}/holds", book.currency))
        .await;

    let found = order.list("holds");
    assert_eq!(found.len(), 2, "{order}");
    assert_eq!(found[0]["sub_account_id"], json!(book.stock));
    assert_eq!(found[0]["amount"], "0.5");
    assert_eq!(found[1]["asset"], "BTC");
    let of_account = &holds.list("holds")[0];
    assert_eq!(of_account["symbol"], "ETH/BTC");
}

#[tokio::test]
async fn a_hold_for_another_pair_is_not_the_orders() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = user.book("grid", "10", "10").await;
    let id = user.order(&book, NewOrder::default()).await;
    world.hold(&book.currency, "o1", "0.25").await;
    world.give_hold_its_pair("o1", "SOL/BTC").await;

    let order = user.get(&format!("/v1/orders/{id}")).await;

    assert!(order.list("holds").is_empty(), "{order}");
}

#[tokio::test]
async fn one_order_shows_its_trade() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = user.book("grid", "10", "10").await;
    let log = user.log(book.trade_with("long", "order_id", "o1")).await;
    user.log(book.trade_with("long", "order_id", "o2")).await;

    let found = user.get("/v1/orders?order_id=o1").await;
    let id = text(&found.list("orders")[0]["id"]);
    let order = user.get(&format!("/v1/orders/{id}")).await;

    let logs = order.list("trading_logs");
    assert_eq!(logs.len(), 1, "{order}");
    assert_eq!(logs[0]["id"], json!(log.id()));
    assert_eq!(order.list("transactions").len(), 2, "{order}");
    assert_eq!(order.data()["trading_logs_cursor"], Value::Null);
    assert_eq!(order.data()["average_price"], "0.05");
    world.verify().await;
}

#[tokio::test]
async fn a_trade_that_says_filled_ends_its_order() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = user.book("grid", "10", "10").await;
    world.hold(&book.currency, "o1", "1").await;
    let status = async || {
        let found = user.get("/v1/orders?order_id=o1").await;
        text(&found.list("orders")[0]["status"])
    };

    user.log(book.trade_with("long", "order_id", "o1")).await;
    assert_eq!(status().await, "partially_filled");

    let mut last = book.trade_with("long", "order_id", "o1");
    last["info"]["order_status"] = "FILLED".into();
    user.log(last).await;

    assert_eq!(status().await, "filled");
    let account = user
        .get(&format!("/v1/sub-accounts/{}", book.currency))
        .await;
    assert_eq!(account.data()["locked"], "0");
    world.verify().await;
}

#[tokio::test]
async fn the_ledger_alone_writes_the_drift_of_a_log() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = user.book("grid", "10", "10").await;

    let own = book.trade_with("long", "drift", "mine");
    let refused = user.post("/v1/trading-logs", own).await;

    refused.assert_error(400, "INVALID_VALUE");
    refused.assert_details("info.drift");
}

/// Inserts logs of the order `o1`, each in a batch of its own.
const MANY_LOGS: &str = "INSERT INTO trading_logs (id, timestamp, user_id, trading_id, event_time, type, source, order_id) \
    SELECT gen_random_uuid(), now() - n * interval '1 second', user_id, id, now(), 'note', 'bot', 'o1' \
    FROM tradings, generate_series(1, 103) AS n WHERE id = $1";

#[tokio::test]
async fn the_cursor_of_an_order_leads_to_its_older_logs() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = user.book("grid", "10", "10").await;
    let id = user.order(&book, NewOrder::default()).await;
    let trading: uuid::Uuid = book.trading.parse().expect("an id");
    world.begin_before_this_month().await;
    world.run(MANY_LOGS, trading).await;

    let order = user.get(&format!("/v1/orders/{id}")).await;
    let cursor = text(&order.data()["trading_logs_cursor"]);
    let path = format!("/v1/trading-logs?trading_id={trading}&order_id=o1&cursor={cursor}");
    let older = user.get(&path).await;

    assert_eq!(order.list("trading_logs").len(), 100);
    assert_eq!(older.list("trading_logs").len(), 3, "{older}");
}

#[tokio::test]
async fn orders_of_other_users_and_deleted_tradings_are_hidden() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let stranger = world.user("bob").await;
    let book = user.book("grid", "0", "0").await;
    let id = user.order(&book, NewOrder::default()).await;
    let path = format!("/v1/orders/{id}");

    stranger.get(&path).await.assert_error(404, "NOT_FOUND");
    let theirs = stranger.get("/v1/orders").await;
    assert!(theirs.list("orders").is_empty(), "{theirs}");

    world
        .run(
            "UPDATE tradings SET status = 'deleting' WHERE user_id = $1",
            user.id.0,
        )
        .await;
    user.get(&path).await.assert_error(404, "NOT_FOUND");
    let hidden = user.get("/v1/orders").await;
    assert!(hidden.list("orders").is_empty(), "{hidden}");
}
