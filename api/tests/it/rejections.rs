//! Each refusal with its status and code.

use crate::world::{PUBLIC_BINDING, World};
use serde_json::{Value, json};

#[tokio::test]
async fn each_rejection_of_the_ledger_has_its_code_and_moves_nothing() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let desk = user.desk("grid", "1", "1").await;
    let other = user.desk("other", "1", "1").await;
    let long = |change: &dyn Fn(&mut Value)| {
        let mut trade = desk.trade("long");
        change(&mut trade["info"]);
        trade
    };
    let cases: Vec<(Value, &str)> = vec![
        (
            long(&|info| info["stock_account_id"] = json!(other.stock)),
            "OWNERSHIP_MISMATCH",
        ),
        (
            long(&|info| info["fee_account_id"] = json!(other.stock)),
            "OWNERSHIP_MISMATCH",
        ),
        (
            long(&|info| info["stock"] = json!("DOGE")),
            "SYMBOL_MISMATCH",
        ),
        (
            long(&|info| info["currency"] = json!("ETH")),
            "SYMBOL_MISMATCH",
        ),
        (
            long(&|info| {
                info["currency_account_id"] = json!(desk.stock);
                info["currency"] = json!("ETH");
            }),
            "SAME_ACCOUNT",
        ),
        (long(&|info| info["volume"] = json!("-1")), "INVALID_AMOUNT"),
        (long(&|info| info["fee"] = json!("-0.1")), "INVALID_AMOUNT"),
        (
            long(&|info| {
                info["volume"] = json!(0);
                info["fee"] = json!(0);
            }),
            "INVALID_AMOUNT",
        ),
        (
            long(&|info| info["volume"] = json!("0.0000000000001")),
            "TOO_MANY_DECIMALS",
        ),
        (
            long(&|info| info["quote_amount"] = json!("0.0000000000001")),
            "TOO_MANY_DECIMALS",
        ),
        (
            long(&|info| info["volume"] = json!("2000")),
            "INSUFFICIENT_BALANCE",
        ),
        (desk.trade("short"), "INSUFFICIENT_BALANCE"),
        (desk.trade("stop_loss"), "INSUFFICIENT_BALANCE"),
        (
            long(&|info| {
                info["volume"] = json!("9999999999999999");
                info["price"] = json!("0");
            }),
            "AMOUNT_OUT_OF_RANGE",
        ),
    ];
    for (body, code) in cases {
        assert_eq!(
            user.post("/v1/trading-logs", body.clone()).await.refusal(),
            (422, code),
            "{body}"
        );
    }
    for account in [&desk.stock, &desk.currency, &other.stock, &other.currency] {
        assert_eq!(user.balance(account).await, "1");
    }
    let logs = user
        .get(&format!("/v1/trading-logs/trading/{}", desk.trading))
        .await;
    assert_eq!(
        logs.data()["trading_logs"].as_array().map(Vec::len),
        Some(2),
        "only the two initial deposits"
    );
}

#[tokio::test]
async fn a_known_key_of_money_info_that_is_wrong_is_named() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let desk = user.desk("grid", "1", "1").await;
    let wrong = [
        ("stock_account_id", json!("no uuid")),
        ("currency_account_id", json!(1)),
        ("price", json!("much")),
        ("volume", json!([])),
        ("stock", json!("ETH/BTC")),
        ("currency", json!(7)),
        ("fee", json!({})),
        ("fee_account_id", json!("x")),
        ("quote_amount", json!("1 000")),
        ("order_id", json!("x".repeat(129))),
    ];
    for (key, value) in wrong {
        let mut trade = desk.trade("long");
        trade["info"][key] = value;
        let answer = user.post("/v1/trading-logs", trade).await;
        assert_eq!(answer.refusal(), (400, "INVALID_VALUE"), "{key}");
        assert!(
            answer.body["error"]["details"]
                .as_str()
                .is_some_and(|text| text.contains(key)),
            "{}",
            answer.text
        );
    }
    for key in [
        "stock_account_id",
        "currency_account_id",
        "price",
        "volume",
        "stock",
        "currency",
        "fee",
    ] {
        let mut trade = desk.trade("short");
        trade["info"][key] = Value::Null;
        assert_eq!(
            user.post("/v1/trading-logs", trade).await.refusal(),
            (400, "MISSING_FIELD"),
            "{key}"
        );
    }
}

#[tokio::test]
async fn nothing_is_ignored_where_money_moves() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let desk = user.desk("grid", "1", "1").await;
    let mut trade = desk.trade("long");
    trade["amuont"] = json!("1");
    assert_eq!(
        user.post("/v1/trading-logs", trade).await.refusal(),
        (400, "INVALID_REQUEST")
    );
    for action in ["deposit", "withdraw"] {
        let path = format!("/v1/sub-accounts/{}/{action}", desk.stock);
        let answer = user
            .post(&path, json!({"amount": "1", "symbol": "ETH"}))
            .await;
        assert_eq!(answer.refusal(), (400, "INVALID_REQUEST"));
        assert!(answer.text.contains("symbol"), "{}", answer.text);
    }
    let account =
        json!({"trading_id": desk.trading, "name": "c", "symbol": "USD", "initial_deposit": "1"});
    assert_eq!(
        user.post("/v1/sub-accounts", account).await.refusal(),
        (400, "INVALID_REQUEST")
    );
}

#[tokio::test]
async fn names_are_unique_among_the_living_and_have_limits() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let desk = user.desk("grid", "0", "0").await;
    let trading = |name: &str| json!({"name": name, "type": "paper"});
    assert_eq!(
        user.post("/v1/tradings", trading("grid")).await.refusal(),
        (409, "TRADING_NAME_EXISTS")
    );
    world
        .user("bob")
        .await
        .post("/v1/tradings", trading("grid"))
        .await
        .data();
    let account = json!({"trading_id": desk.trading, "name": "stock", "symbol": "ETH"});
    assert_eq!(
        user.post("/v1/sub-accounts", account).await.refusal(),
        (409, "SUBACCOUNT_NAME_EXISTS")
    );
    for name in [String::new(), "é".repeat(129)] {
        let answer = user.post("/v1/tradings", trading(&name)).await;
        assert_eq!(answer.refusal(), (400, "INVALID_VALUE"));
        assert!(
            answer.text.contains("128"),
            "the limit is named: {}",
            answer.text
        );
    }
    user.post("/v1/tradings", trading(&"é".repeat(128)))
        .await
        .data();
    sqlx::query("UPDATE tradings SET status = 'deleted' WHERE id = $1::uuid")
        .bind(&desk.trading)
        .execute(world.database.pool())
        .await
        .expect("deleted");
    user.post("/v1/tradings", trading("grid")).await.data();
}

#[tokio::test]
async fn a_real_trading_needs_a_binding_that_the_caller_may_use() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let real =
        |binding: Value| json!({"name": "real", "type": "real", "exchange_binding_id": binding});
    assert_eq!(
        user.post("/v1/tradings", real(Value::Null)).await.refusal(),
        (400, "MISSING_FIELD")
    );
    assert_eq!(
        user.post("/v1/tradings", real(json!("x"))).await.refusal(),
        (400, "INVALID_VALUE")
    );
    let unknown = "01900000-0000-7000-8000-00000000ffff";
    assert_eq!(
        user.post("/v1/tradings", real(json!(unknown)))
            .await
            .refusal(),
        (404, "NOT_FOUND")
    );
    sqlx::query(
        "INSERT INTO exchange_bindings (id, user_id, name, exchange_type, kind) VALUES ($1::uuid, $2, 'b', 'kraken', 'private')",
    )
    .bind(unknown)
    .bind(world.user("bob").await.id.0)
    .execute(world.database.pool())
    .await
    .expect("a binding of somebody else");
    assert_eq!(
        user.post("/v1/tradings", real(json!(unknown)))
            .await
            .refusal(),
        (404, "NOT_FOUND")
    );
    assert_eq!(
        user.post("/v1/tradings", real(json!(PUBLIC_BINDING)))
            .await
            .data()["type"],
        "real"
    );
}

#[tokio::test]
async fn a_trading_that_is_gone_takes_no_money_and_a_paused_one_does() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let desk = user.desk("grid", "1", "1").await;
    for (status, gone) in [("paused", false), ("deleting", true), ("deleted", true)] {
        sqlx::query("UPDATE tradings SET status = $2 WHERE id = $1::uuid")
            .bind(&desk.trading)
            .bind(status)
            .execute(world.database.pool())
            .await
            .expect("changed");
        let mut trade = desk.trade("long");
        trade["info"]["volume"] = json!("0.1");
        let log = user.post("/v1/trading-logs", trade).await;
        let deposit = user
            .post(
                &format!("/v1/sub-accounts/{}/deposit", desk.stock),
                json!({"amount": "1"}),
            )
            .await;
        let account = json!({"trading_id": desk.trading, "name": status, "symbol": "USD"});
        let account = user.post("/v1/sub-accounts", account).await;
        for answer in [log, deposit, account] {
            if gone {
                assert_eq!(answer.refusal(), (404, "NOT_FOUND"), "{status}");
            } else {
                answer.data();
            }
        }
    }
}

#[tokio::test]
async fn a_message_has_at_most_4_kib_as_in_events() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let desk = user.desk("grid", "1", "1").await;
    let deposit = format!("/v1/sub-accounts/{}/deposit", desk.stock);
    for (message, fits) in [
        ("é".repeat(2048), true),
        ("é".repeat(2049), false),
        (String::new(), true),
    ] {
        let mut trade = desk.trade("note");
        trade["message"] = json!(message);
        let answers = [
            user.post(&deposit, json!({"amount": "1", "message": message}))
                .await,
            user.post("/v1/trading-logs", trade).await,
        ];
        for answer in answers {
            if fits {
                answer.data();
            } else {
                assert_eq!(answer.refusal(), (400, "INVALID_VALUE"));
                assert!(
                    answer.text.contains("4096 bytes"),
                    "the limit is named: {}",
                    answer.text
                );
            }
        }
    }
}
