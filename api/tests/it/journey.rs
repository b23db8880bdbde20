//! The first steps of a user, from a token to balances.

use crate::world::book::Book;
use crate::world::{Answer, PUBLIC_BINDING, User, World, text};
use serde_json::{Value, json};

#[tokio::test]
async fn a_new_user_sees_their_profile_and_the_public_bindings() {
    let world = World::start().await;
    let user = world.user("ann").await;

    let me = user.get("/v1/users/me").await;
    let bindings = user.get("/v1/exchange-bindings/public").await;

    assert_eq!(me.data()["username"], "ann");
    assert_eq!(me.data()["role"], "user");
    let bindings = bindings.list("exchange_bindings").iter();
    let names: Vec<&Value> = bindings.map(|binding| &binding["name"]).collect();
    assert_eq!(names, ["Gate.io virtual", "Kraken", "Binance"]);
}

/// Creates a trading on a public binding.
async fn trading_of(user: &User<'_>) -> Answer {
    let body = json!({"name": "grid", "type": "virtual", "exchange_binding_id": PUBLIC_BINDING, "info": {"a": 1}});
    user.post("/v1/tradings", body).await
}

/// Creates an account of a new trading with this balance.
async fn account_of(user: &User<'_>, symbol: &str, balance: &str) -> Answer {
    let trading = trading_of(user).await.id();
    let body =
        json!({"trading_id": trading, "name": "stock", "symbol": symbol, "balance": balance});
    user.post("/v1/sub-accounts", body).await
}

#[tokio::test]
async fn a_new_trading_is_read_back_as_created() {
    let world = World::start().await;
    let user = world.user("ann").await;

    let created = trading_of(&user).await;

    created.assert_status(201);
    assert_eq!(created.data()["type"], "paper");
    assert_eq!(created.data()["exchange_binding"]["name"], "Binance");
    let read = user.get(&format!("/v1/tradings/{}", created.id())).await;
    assert_eq!(read.data(), created.data());
    let listed = user.get("/v1/tradings").await;
    assert_eq!(listed.data()["tradings"], json!([created.data()]));
}

#[tokio::test]
async fn a_new_account_is_empty() {
    let world = World::start().await;
    let user = world.user("ann").await;

    let account = account_of(&user, "eth", "0").await;

    account.assert_status(201);
    assert_eq!(account.data()["symbol"], "ETH");
    assert_eq!(account.data()["sequence"], 0);
    assert_eq!(user.balance(&account.id()).await, "0");
}

#[tokio::test]
async fn a_new_account_may_have_an_opening_balance() {
    let world = World::start().await;
    let user = world.user("ann").await;

    let account = account_of(&user, "BTC", "1.5").await;

    assert_eq!(account.data()["balance"], "1.5");
    assert_eq!(account.data()["sequence"], 1);
}

#[tokio::test]
async fn a_deposit_and_a_withdrawal_are_read_back_as_booked() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let account = account_of(&user, "BTC", "1.5").await.id();
    let path = format!("/v1/sub-accounts/{account}");
    let more = json!({"amount": 0.5, "message": "more", "event_time": "2018-01-01T00:00:00Z", "info": {"by": "ann"}});

    let deposit = user.post(&format!("{path}/deposit"), more).await;
    let withdrawal = user.withdraw(&account, "1").await;

    let deposit = deposit.data();
    assert_eq!(deposit["sub_account"]["balance"], "2");
    assert_eq!(deposit["transaction"]["direction"], "credit");
    assert_eq!(deposit["transaction"]["event_time"], "2018-01-01T00:00:00Z");
    assert_eq!(deposit["trading_log"]["type"], "deposit");
    assert_eq!(withdrawal.data()["transaction"]["closing_balance"], "1");
    for (part, list) in [
        ("transaction", "transactions"),
        ("trading_log", "trading-logs"),
    ] {
        let id = text(&deposit[part]["id"]);
        let read = user.get(&format!("/v1/{list}/{id}")).await;
        assert_eq!(read.data(), &deposit[part]);
    }
    let read = user.get(&path).await;
    assert_eq!(read.data(), &withdrawal.data()["sub_account"]);
}

async fn assert_balances(user: &User<'_>, book: &Book, stock: &str, currency: &str) {
    assert_eq!(user.balance(&book.stock).await, stock);
    assert_eq!(user.balance(&book.currency).await, currency);
}

#[tokio::test]
async fn long_and_short_settle_before_the_response() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = user.book("grid", "10", "1").await;

    let long = user.log(book.trade("long")).await;

    long.assert_status(201);
    assert_eq!(long.list("transaction_ids").len(), 2);
    // Only a log with a single transaction has this field.
    assert_eq!(long.data()["transaction_id"], Value::Null);
    assert_balances(&user, &book, "12", "0.899").await;

    let short = user.log(book.trade("short")).await;

    assert_eq!(short.data()["type"], "short");
    assert_balances(&user, &book, "10", "0.998").await;
}

#[tokio::test]
async fn a_fee_on_another_account_is_a_separate_posting() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = user.book("grid", "10", "1").await;
    let mut trade = book.trade("stop_loss");
    trade["info"]["fee_account_id"] = json!(book.stock);
    trade["info"]["quote_amount"] = json!(0.1);
    trade["info"]["order_id"] = json!("order 7");
    trade["sub_account_id"] = json!(book.stock);

    let created = user.log(trade).await;

    assert_eq!(created.list("transaction_ids").len(), 3);
    assert_eq!(created.data()["order_id"], "order 7");
    assert_balances(&user, &book, "7.999", "1.1").await;

    let read = user
        .get(&format!("/v1/trading-logs/{}", created.id()))
        .await;

    let mut read = read.data().clone();
    read["transaction_ids"] = created.data()["transaction_ids"].clone();
    read["sub_accounts"] = created.data()["sub_accounts"].clone();
    assert_eq!(&read, created.data());
}

#[tokio::test]
async fn deposit_and_withdrawal_logs_settle() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = user.book("grid", "10", "1.098").await;
    let movement = |log_type: &str| {
        json!({"trading_id": book.trading, "type": log_type, "source": "manual", "message": "",
               "info": {"account_id": book.currency, "amount": "0.002", "currency": "btc", "note": "mine"}})
    };

    let deposit = user.log(movement("deposit")).await;

    let data = deposit.data();
    assert_eq!(data["sub_accounts"][0]["balance"], "1.1");
    assert_eq!(data["transaction_id"], data["transaction_ids"][0]);
    // Unknown keys of `info` are stored.
    assert_eq!(data["info"]["note"], "mine");

    user.log(movement("withdraw")).await;

    assert_balances(&user, &book, "10", "1.098").await;
}

#[tokio::test]
async fn the_logs_of_a_trading_are_listed_newest_first() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = user.book("grid", "10", "1").await;
    for log_type in ["long", "short", "stop_loss"] {
        user.log(book.trade(log_type)).await;
    }

    let logs = user
        .get(&format!("/v1/trading-logs/trading/{}", book.trading))
        .await;

    let logs = logs.list("trading_logs").iter();
    let types: Vec<&Value> = logs.map(|log| &log["type"]).collect();
    assert_eq!(types, ["stop_loss", "short", "long", "deposit", "deposit"]);
}

#[tokio::test]
async fn a_log_of_another_type_moves_no_money() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = user.book("grid", "1", "1").await;
    let info = json!({"price": "not a price", "amount": [1]});
    let body = json!({"trading_id": book.trading, "type": "note", "source": "manual", "message": "hi", "surplus": 1,
                      "sub_account_id": book.stock, "info": info});

    let log = user.log(body).await;

    assert_eq!(log.data()["transaction_ids"], json!([]));
    assert_eq!(log.data()["sub_accounts"], json!([]));
    assert_eq!(log.data()["info"], info);
    // The event time defaults to the time of recording.
    assert_eq!(log.data()["event_time"], log.data()["timestamp"]);
    assert_balances(&user, &book, "1", "1").await;
}

#[tokio::test]
async fn holds_lower_the_available_balance() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = user.book("grid", "1", "1").await;
    let path = format!("/v1/sub-accounts/{}", book.stock);
    let none = user.get(&format!("{path}/holds")).await;
    assert!(none.list("holds").is_empty());

    world.hold(&book.stock, "o1", "0.25").await;

    let holds = user.get(&format!("{path}/holds")).await;
    assert_eq!(holds.data()["holds"][0]["order_id"], "o1");
    assert_eq!(holds.data()["holds"][0]["amount"], "0.25");
    assert_eq!(holds.data()["holds"][0]["event_id"], "e1");
    let account = user.get(&path).await;
    assert_eq!(account.data()["locked"], "0.25");
    assert_eq!(account.data()["available"], "0.75");
}
