//! Rejections with their statuses and codes.

use crate::world::{PUBLIC_BINDING, World};
use serde_json::{Value, json};

#[tokio::test]
async fn each_rejection_has_its_code_and_moves_no_money() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = user.book("grid", "1", "1").await;
    let other = user.book("other", "1", "1").await;
    let same = json!({"currency_account_id": book.stock, "currency": "ETH"});
    let beyond = json!({"volume": "99999999999999999999", "price": "0"});

    for (info, code) in [
        (
            json!({"stock_account_id": other.stock}),
            "OWNERSHIP_MISMATCH",
        ),
        (json!({"fee_account_id": other.stock}), "OWNERSHIP_MISMATCH"),
        (json!({"stock": "DOGE"}), "SYMBOL_MISMATCH"),
        (json!({"currency": "ETH"}), "SYMBOL_MISMATCH"),
        (same, "SAME_ACCOUNT"),
        (json!({"volume": "-1"}), "INVALID_AMOUNT"),
        (json!({"price": "-0.1"}), "INVALID_AMOUNT"),
        (json!({"volume": 0, "fee": 0}), "INVALID_AMOUNT"),
        (json!({"volume": "2000"}), "INSUFFICIENT_BALANCE"),
        (beyond, "AMOUNT_OUT_OF_RANGE"),
    ] {
        let mut trade = book.trade("long");
        for (key, value) in info.as_object().expect("an object") {
            trade["info"][key] = value.clone();
        }
        let answer = user.post("/v1/trading-logs", trade).await;
        answer.assert_error(422, code);
    }
    for log_type in ["short", "stop_loss"] {
        let answer = user.post("/v1/trading-logs", book.trade(log_type)).await;
        answer.assert_error(422, "INSUFFICIENT_BALANCE");
    }

    for account in [&book.stock, &book.currency, &other.stock, &other.currency] {
        assert_eq!(user.balance(account).await, "1");
    }
    let logs = format!("/v1/trading-logs/trading/{}", book.trading);
    let logs = user.get(&logs).await;
    // The two initial deposits.
    assert_eq!(logs.list("trading_logs").len(), 2);
}

#[tokio::test]
async fn names_an_invalid_key_of_money_info() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = user.book("grid", "1", "1").await;

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
        let mut trade = book.trade("long");
        trade["info"][key] = value;
        let answer = user.post("/v1/trading-logs", trade).await;
        answer.assert_error(400, "INVALID_VALUE");
        answer.assert_details(key);
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
        let mut trade = book.trade("short");
        trade["info"][key] = Value::Null;
        user.post("/v1/trading-logs", trade)
            .await
            .assert_error(400, "MISSING_FIELD");
    }
}

#[tokio::test]
async fn rejects_unknown_fields_where_money_moves() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = user.book("grid", "1", "1").await;
    let account = format!("/v1/sub-accounts/{}", book.stock);
    let moved = json!({"amount": "1", "symbol": "ETH"});
    let mut trade = book.trade("long");
    trade["amuont"] = json!("1");
    let opened =
        json!({"trading_id": book.trading, "name": "c", "symbol": "USD", "initial_deposit": "1"});

    for (path, body, field) in [
        ("/v1/trading-logs", trade, "amuont"),
        (&*format!("{account}/deposit"), moved.clone(), "symbol"),
        (&format!("{account}/withdraw"), moved, "symbol"),
        ("/v1/sub-accounts", opened, "initial_deposit"),
    ] {
        let answer = user.post(path, body).await;
        answer.assert_error(400, "INVALID_REQUEST");
        answer.assert_contains(field);
    }
}

#[tokio::test]
async fn names_are_unique_per_user() {
    let world = World::start().await;
    let ann = world.user("ann").await;
    let bob = world.user("bob").await;
    let book = ann.book("grid", "0", "0").await;
    let grid = json!({"name": "grid", "type": "paper"});
    let stock = json!({"trading_id": book.trading, "name": "stock", "symbol": "ETH"});

    let trading = ann.post("/v1/tradings", grid.clone()).await;
    trading.assert_error(409, "TRADING_NAME_EXISTS");
    let account = ann.post("/v1/sub-accounts", stock).await;
    account.assert_error(409, "SUBACCOUNT_NAME_EXISTS");
    bob.post("/v1/tradings", grid.clone()).await.data();

    let delete = "UPDATE tradings SET status = 'deleted' WHERE id = $1::uuid";
    world.run(delete, book.trading).await;
    ann.post("/v1/tradings", grid).await.data();
}

#[tokio::test]
async fn a_name_has_1_to_128_characters() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let trading = |name: &str| json!({"name": name, "type": "paper"});

    for name in [String::new(), "é".repeat(129)] {
        let answer = user.post("/v1/tradings", trading(&name)).await;
        answer.assert_error(400, "INVALID_VALUE");
        answer.assert_contains("128");
    }
    let longest = trading(&"é".repeat(128));
    user.post("/v1/tradings", longest).await.data();
}

#[tokio::test]
async fn a_real_trading_needs_a_usable_binding() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let other = world.user("bob").await;
    let unknown = "01900000-0000-7000-8000-00000000ffff";
    let theirs = json!({"name": "b", "exchange_type": "virtual"});
    let theirs = other.post("/v1/exchange-bindings", theirs).await.id();
    let real = async |binding: Value| {
        let body = json!({"name": "real", "type": "real", "exchange_binding_id": binding});
        user.post("/v1/tradings", body).await
    };

    for (binding, status, code) in [
        (Value::Null, 400, "MISSING_FIELD"),
        (json!("x"), 400, "INVALID_VALUE"),
        (json!(unknown), 404, "NOT_FOUND"),
        (json!(theirs), 404, "NOT_FOUND"),
    ] {
        real(binding).await.assert_error(status, code);
    }

    let created = real(json!(PUBLIC_BINDING)).await;
    assert_eq!(created.data()["type"], "real");
}

#[tokio::test]
async fn a_paused_trading_accepts_money_a_deleted_one_does_not() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = user.book("grid", "1", "1").await;

    for (status, is_gone) in [("paused", false), ("deleting", true), ("deleted", true)] {
        sqlx::query("UPDATE tradings SET status = $2 WHERE id = $1::uuid")
            .bind(&book.trading)
            .bind(status)
            .execute(world.pool())
            .await
            .expect("changed");
        let trade = book.trade_with("long", "volume", "0.1");
        let account = json!({"trading_id": book.trading, "name": status, "symbol": "USD"});

        for answer in [
            user.post("/v1/trading-logs", trade).await,
            user.deposit(&book.stock, "1").await,
            user.post("/v1/sub-accounts", account).await,
        ] {
            if is_gone {
                answer.assert_error(404, "NOT_FOUND");
            } else {
                answer.data();
            }
        }
    }
}

#[tokio::test]
async fn limits_a_message_to_4_kib() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = user.book("grid", "1", "1").await;
    let path = format!("/v1/sub-accounts/{}/deposit", book.stock);

    for (message, fits) in [
        ("é".repeat(2048), true),
        ("é".repeat(2049), false),
        (String::new(), true),
    ] {
        let deposit = json!({"amount": "1", "message": message});
        let mut note = book.note();
        note["message"] = json!(message);

        for answer in [
            user.post(&path, deposit).await,
            user.post("/v1/trading-logs", note).await,
        ] {
            if fits {
                answer.data();
            } else {
                answer.assert_error(400, "INVALID_VALUE");
                answer.assert_contains("4096 bytes");
            }
        }
    }
}
