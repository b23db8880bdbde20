//! Fees, rebates and rounding of trades over REST, and what a rejection says.

use crate::world::book::Book;
use crate::world::{Answer, User, World};
use serde_json::{Value, json};

/// Returns a trade with these fields of `info` replaced.
fn trade(book: &Book, log_type: &str, changes: &Value) -> Value {
    let mut trade = book.trade(log_type);
    for (key, value) in changes.as_object().expect("an object") {
        trade["info"][key] = value.clone();
    }
    trade
}

/// Returns direction, amount, reason and fee of the transactions of a log, in order.
async fn transactions(user: &User<'_>, log: &Answer) -> Vec<Value> {
    let mut found = Vec::new();
    for id in log.list("transaction_ids") {
        let id = id.as_str().expect("an id");
        let transaction = user.get(&format!("/v1/transactions/{id}")).await;
        let data = transaction.data();
        found.push(json!([
            data["direction"],
            data["amount"],
            data["reason"],
            data["fee"]
        ]));
    }
    found
}

#[tokio::test]
async fn a_negative_fee_is_a_rebate() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = user.book("grid", "1", "0").await;
    let sale = json!({"volume": "0.00751365", "price": "12777.1", "fee": "-0.00480013"});

    let log = user.log(trade(&book, "short", &sale)).await;

    let expected = [
        json!(["debit", "0.00751365", "short", null]),
        json!(["credit", "96.002657415", "short", null]),
        json!(["credit", "0.00480013", "rebate", null]),
    ];
    assert_eq!(transactions(&user, &log).await, expected);
    assert_eq!(user.balance(&book.currency).await, "96.007457545");
}

#[tokio::test]
async fn a_trade_lists_fees_of_several_accounts() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = user.book("grid", "1", "10").await;
    let fees = json!([
        {"account_id": book.stock, "amount": "0.25"},
        {"account_id": book.currency, "amount": "0.5"},
    ]);
    let bought = json!({"volume": "2", "price": "1", "fee": null, "fees": fees});

    let log = user.log(trade(&book, "long", &bought)).await;

    let expected = [
        json!(["credit", "2", "long", null]),
        json!(["debit", "2.5", "long", "0.5"]),
        json!(["debit", "0.25", "fee", "0.25"]),
    ];
    assert_eq!(transactions(&user, &log).await, expected);
}

#[tokio::test]
async fn names_the_invalid_entry_of_a_list_of_fees() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = user.book("grid", "1", "10").await;
    let fee = json!({"account_id": book.stock, "amount": "0.1"});

    for (fees, code, named) in [
        (json!("0.1"), "INVALID_VALUE", "fees"),
        (
            json!([fee, {"amount": "1"}]),
            "MISSING_FIELD",
            "fees[1].account_id",
        ),
        (
            json!([{"account_id": book.stock, "amount": "much"}]),
            "INVALID_VALUE",
            "fees[0].amount",
        ),
        (json!([fee, fee, fee, fee]), "INVALID_VALUE", "at most 4"),
    ] {
        let answer = user
            .post(
                "/v1/trading-logs",
                trade(&book, "long", &json!({"fees": fees})),
            )
            .await;
        answer.assert_error(400, code);
        answer.assert_details(named);
    }
    let none = json!({"fee": null});
    let answer = user
        .post("/v1/trading-logs", trade(&book, "long", &none))
        .await;
    answer.assert_error(400, "MISSING_FIELD");
    answer.assert_details("info.fee");
}

#[tokio::test]
async fn rounds_to_eighteen_places_and_keeps_the_text_as_sent() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = user.book("grid", "0", "10").await;
    let fine =
        json!({"volume": "0.1000000000000000055", "quote_amount": "0.1", "price": "0", "fee": 0});

    let log = user.log(trade(&book, "long", &fine)).await;

    assert_eq!(log.data()["info"]["volume"], "0.1000000000000000055");
    let rounded = json!({"fill.volume": "-0.0000000000000000005"});
    assert_eq!(log.data()["info"]["drift"], rounded);
    let read = user.get(&format!("/v1/trading-logs/{}", log.id())).await;
    assert_eq!(read.data()["info"], log.data()["info"]);
    assert_eq!(user.balance(&book.stock).await, "0.100000000000000006");
    let path = format!("/v1/sub-accounts/{}/deposit", book.stock);
    let deposit = user
        .post_text(&path, r#"{"amount": 1.0000000000000000009}"#)
        .await;
    let booked = &deposit.data()["transaction"]["amount"];
    assert_eq!(*booked, "1.000000000000000001");
}

#[tokio::test]
async fn a_rejection_says_which_account_lacks_how_much() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = user.book("grid", "1", "10").await;
    let details = async |changes: Value| {
        let answer = user
            .post("/v1/trading-logs", trade(&book, "long", &changes))
            .await;
        answer.body["error"]["details"].clone()
    };

    let short_of = |account: &str, asset, needed, available| json!({"account_id": account, "asset": asset, "given_asset": null, "given_amount": null, "needed": needed, "available": available});
    assert_eq!(
        details(json!({"volume": "200", "price": "1", "fee": "0.5"})).await,
        short_of(&book.currency, "BTC", "200.5", "10")
    );
    let of_stock = json!({"volume": "1", "price": "1", "fee": "2.5", "fee_account_id": book.stock});
    assert_eq!(
        details(of_stock).await,
        short_of(&book.stock, "ETH", "2.5", "2")
    );
    let wrong_symbol = json!({"account_id": book.stock, "asset": "ETH", "given_asset": "DOGE", "given_amount": null, "needed": null, "available": null});
    assert_eq!(details(json!({"stock": "DOGE"})).await, wrong_symbol);
    let invalid = |account: &str, asset, given| json!({"account_id": account, "asset": asset, "given_asset": null, "given_amount": given, "needed": null, "available": null});
    assert_eq!(
        details(json!({"volume": "-1"})).await,
        invalid(&book.stock, "ETH", "-1")
    );
    assert_eq!(
        details(json!({"price": "-0.5"})).await,
        invalid(&book.currency, "BTC", "-0.5")
    );
}

#[tokio::test]
async fn a_rejection_names_a_deleted_account_and_nothing_of_a_foreign_one() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let other = world.user("bob").await;
    let book = user.book("grid", "1", "10").await;
    let gone = user.book("gone", "0", "0").await;
    let theirs = other.book("grid", "1", "1").await;
    user.delete(&format!("/v1/sub-accounts/{}", gone.stock))
        .await
        .data();

    for account in [&gone.stock, &theirs.stock] {
        let changes = json!({"fee": "5", "fee_account_id": account});
        let answer = user
            .post("/v1/trading-logs", trade(&book, "long", &changes))
            .await;

        answer.assert_error(404, "NOT_FOUND");
        let expected = json!({"account_id": account, "asset": null, "given_asset": null, "given_amount": null, "needed": null, "available": null});
        assert_eq!(answer.body["error"]["details"], expected);
    }
}
