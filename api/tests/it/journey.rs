//! From a token to balances that can be read back.

use crate::world::{PUBLIC_BINDING, World, text};
use serde_json::{Value, json};

#[tokio::test]
async fn a_user_makes_a_trading_moves_money_and_reads_it_all_back() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let me = user.get("/v1/users/me").await;
    assert_eq!(me.data()["username"], "ann");
    assert_eq!(me.data()["role"], "user");

    let bindings = user.get("/v1/exchange-bindings/public").await;
    let names: Vec<&Value> = bindings.data()["exchange_bindings"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|b| &b["name"])
        .collect();
    assert_eq!(names, ["Gate.io virtual", "Kraken", "Binance"]);

    let body = json!({"name": "grid", "type": "virtual", "exchange_binding_id": PUBLIC_BINDING, "info": {"a": 1}});
    let made = user.post("/v1/tradings", body).await;
    assert_eq!(made.status, 201);
    assert_eq!(made.data()["type"], "paper");
    assert_eq!(made.data()["exchange_binding"]["name"], "Binance");
    let trading = text(&made.data()["id"]);
    assert_eq!(
        user.get(&format!("/v1/tradings/{trading}")).await.data(),
        made.data()
    );
    assert_eq!(
        user.get("/v1/tradings").await.data()["tradings"],
        json!([made.data()])
    );

    let account = |name: &str, symbol: &str, balance: &str| json!({"trading_id": trading, "name": name, "symbol": symbol, "balance": balance});
    let stock = user
        .post("/v1/sub-accounts", account("stock", "eth", "0"))
        .await;
    assert_eq!(
        (
            stock.status.as_u16(),
            &stock.data()["symbol"],
            &stock.data()["sequence"]
        ),
        (201, &json!("ETH"), &json!(0))
    );
    let currency = user
        .post("/v1/sub-accounts", account("currency", "BTC", "1.5"))
        .await;
    assert_eq!(
        (&currency.data()["balance"], &currency.data()["sequence"]),
        (&json!("1.5"), &json!(1))
    );
    let (stock, currency) = (text(&stock.data()["id"]), text(&currency.data()["id"]));

    let body = json!({"amount": 0.5, "message": "more", "event_time": "2018-01-01T00:00:00Z", "info": {"by": "ann"}});
    let deposit = user
        .post(&format!("/v1/sub-accounts/{currency}/deposit"), body)
        .await;
    assert_eq!(deposit.data()["sub_account"]["balance"], "2");
    assert_eq!(deposit.data()["transaction"]["direction"], "credit");
    assert_eq!(
        deposit.data()["transaction"]["event_time"],
        "2018-01-01T00:00:00Z"
    );
    assert_eq!(deposit.data()["trading_log"]["type"], "deposit");
    let withdrawal = user
        .post(
            &format!("/v1/sub-accounts/{currency}/withdraw"),
            json!({"amount": "1"}),
        )
        .await;
    assert_eq!(withdrawal.data()["transaction"]["closing_balance"], "1");

    for part in ["transaction", "trading_log"] {
        let path = format!(
            "/v1/{}s/{}",
            part.replace('_', "-"),
            text(&deposit.data()[part]["id"])
        );
        assert_eq!(
            user.get(&path).await.data(),
            &deposit.data()[part],
            "what was answered is what is stored"
        );
    }
    assert_eq!(
        user.get(&format!("/v1/sub-accounts/{currency}"))
            .await
            .data(),
        &withdrawal.data()["sub_account"],
    );
    assert_eq!(user.balance(&stock).await, "0");
}

#[tokio::test]
async fn the_five_money_types_settle_before_the_call_returns() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let desk = user.desk("grid", "10", "1").await;

    let long = user.post("/v1/trading-logs", desk.trade("long")).await;
    assert_eq!(long.status, 201);
    assert_eq!(
        long.data()["transaction_ids"]
            .as_array()
            .expect("a list")
            .len(),
        2
    );
    assert_eq!(
        long.data()["transaction_id"],
        Value::Null,
        "it made more than one"
    );
    assert_eq!(
        (
            user.balance(&desk.stock).await,
            user.balance(&desk.currency).await
        ),
        ("12".into(), "0.899".into())
    );

    let short = user.post("/v1/trading-logs", desk.trade("short")).await;
    assert_eq!(short.data()["type"], "short");
    assert_eq!(
        (
            user.balance(&desk.stock).await,
            user.balance(&desk.currency).await
        ),
        ("10".into(), "0.998".into())
    );

    let mut stop_loss = desk.trade("stop_loss");
    stop_loss["info"]["fee_account_id"] = json!(desk.stock);
    stop_loss["info"]["quote_amount"] = json!(0.1);
    stop_loss["info"]["order_id"] = json!("order 7");
    stop_loss["sub_account_id"] = json!(desk.stock);
    let stop_loss = user.post("/v1/trading-logs", stop_loss).await;
    assert_eq!(
        stop_loss.data()["transaction_ids"]
            .as_array()
            .expect("a list")
            .len(),
        3,
        "the fee is a posting of its own"
    );
    assert_eq!(stop_loss.data()["order_id"], "order 7");
    assert_eq!(
        (
            user.balance(&desk.stock).await,
            user.balance(&desk.currency).await
        ),
        ("7.999".into(), "1.098".into())
    );

    let movement = |log_type: &str| {
        json!({"trading_id": desk.trading, "type": log_type, "source": "manual", "message": "",
               "info": {"account_id": desk.currency, "amount": "0.002", "currency": "btc", "note": "mine"}})
    };
    let deposit = user.post("/v1/trading-logs", movement("deposit")).await;
    assert_eq!(deposit.data()["sub_accounts"][0]["balance"], "1.1");
    assert_eq!(
        deposit.data()["transaction_id"],
        deposit.data()["transaction_ids"][0]
    );
    assert_eq!(
        deposit.data()["info"]["note"],
        "mine",
        "unknown keys of info are the caller's"
    );
    user.post("/v1/trading-logs", movement("withdraw"))
        .await
        .data();
    assert_eq!(user.balance(&desk.currency).await, "1.098");

    let logs = user
        .get(&format!("/v1/trading-logs/trading/{}", desk.trading))
        .await;
    let types: Vec<String> = logs.data()["trading_logs"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|log| text(&log["type"]))
        .collect();
    assert_eq!(
        types,
        [
            "withdraw",
            "deposit",
            "stop_loss",
            "short",
            "long",
            "deposit",
            "deposit"
        ]
    );
    let mut read = user
        .get(&format!(
            "/v1/trading-logs/{}",
            text(&stop_loss.data()["id"])
        ))
        .await
        .data()
        .clone();
    read["transaction_ids"] = stop_loss.data()["transaction_ids"].clone();
    read["sub_accounts"] = stop_loss.data()["sub_accounts"].clone();
    assert_eq!(&read, stop_loss.data());
}

#[tokio::test]
async fn any_other_type_is_recorded_and_moves_nothing() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let desk = user.desk("grid", "1", "1").await;
    let body = json!({"trading_id": desk.trading, "type": "note", "source": "manual", "message": "hi", "surplus": 1,
                      "sub_account_id": desk.stock, "info": {"price": "not a price", "amount": [1]}});
    let log = user.post("/v1/trading-logs", body).await;
    assert_eq!(log.data()["transaction_ids"], json!([]));
    assert_eq!(log.data()["sub_accounts"], json!([]));
    assert_eq!(
        log.data()["info"],
        json!({"price": "not a price", "amount": [1]})
    );
    assert_eq!(
        log.data()["event_time"],
        log.data()["timestamp"],
        "without an event time it is the time of recording"
    );
    assert_eq!(
        (
            user.balance(&desk.stock).await,
            user.balance(&desk.currency).await
        ),
        ("1".into(), "1".into())
    );
}

#[tokio::test]
async fn holds_of_orders_are_shown_and_lower_what_is_available() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let desk = user.desk("grid", "1", "1").await;
    let path = format!("/v1/sub-accounts/{}/holds", desk.stock);
    assert_eq!(user.get(&path).await.data(), &json!({"holds": []}));
    let statements = [
        "INSERT INTO holds (sub_account_id, order_id, amount, event_id) VALUES ($1::uuid, 'o1', 0.25, 'e1')",
        "UPDATE sub_accounts SET locked = 0.25 WHERE id = $1::uuid",
    ];
    for statement in statements {
        sqlx::query(statement)
            .bind(&desk.stock)
            .execute(world.database.pool())
            .await
            .expect("a hold");
    }
    let holds = user.get(&path).await;
    assert_eq!(holds.data()["holds"][0]["order_id"], "o1");
    assert_eq!(holds.data()["holds"][0]["amount"], "0.25");
    assert_eq!(holds.data()["holds"][0]["event_id"], "e1");
    let account = user.get(&format!("/v1/sub-accounts/{}", desk.stock)).await;
    assert_eq!(
        (&account.data()["locked"], &account.data()["available"]),
        (&json!("0.25"), &json!("0.75"))
    );
}
