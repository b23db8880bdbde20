//! Balances under concurrency, and all-or-nothing.

use crate::world::World;
use serde_json::json;

#[tokio::test]
async fn concurrent_withdrawals_never_take_more_than_there_is() {
    const ASKED: usize = 24;
    let world = World::start().await;
    let user = world.user("ann").await;
    let desk = user.desk("grid", "10", "0").await;
    let path = format!("/v1/sub-accounts/{}/withdraw", desk.stock);
    let asked = (0..ASKED).map(|_| user.post(&path, json!({"amount": "1"})));
    let answers = futures_util::future::join_all(asked).await;
    let done = answers
        .iter()
        .filter(|answer| answer.status.is_success())
        .count();
    assert_eq!(done, 10);
    for refused in answers.iter().filter(|answer| !answer.status.is_success()) {
        assert_eq!(refused.refusal(), (422, "INSUFFICIENT_BALANCE"));
    }
    assert_eq!(user.balance(&desk.stock).await, "0");
    let all = user
        .get(&format!("/v1/transactions?sub_account_id={}", desk.stock))
        .await;
    let sequences: Vec<i64> = all.data()["transactions"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|t| t["sequence"].as_i64())
        .collect();
    assert_eq!(
        sequences,
        (1..=11).rev().collect::<Vec<_>>(),
        "no gap, newest first"
    );
}

#[tokio::test]
async fn concurrent_trades_in_both_directions_neither_deadlock_nor_lose_money() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let desk = user.desk("grid", "100", "100").await;
    let mut free = [desk.trade("long"), desk.trade("short")];
    for trade in &mut free {
        trade["info"]["fee"] = json!("0");
    }
    let asked = (0..40).map(|number| user.post("/v1/trading-logs", free[number % 2].clone()));
    for answer in futures_util::future::join_all(asked).await {
        answer.data();
    }
    assert_eq!(
        (
            user.balance(&desk.stock).await,
            user.balance(&desk.currency).await
        ),
        ("100".into(), "100".into())
    );
}

#[tokio::test]
async fn a_trading_is_made_with_all_its_accounts_or_not_at_all() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let body = |second: serde_json::Value| {
        json!({"name": "grid", "type": "backtest", "sub_accounts": [
        {"name": "a", "symbol": "ETH", "initial_deposit": "1"}, second]})
    };
    for (second, status, code) in [
        (
            json!({"name": "b", "symbol": "BTC", "initial_deposit": "-1"}),
            422,
            "INVALID_AMOUNT",
        ),
        (
            json!({"name": "b", "symbol": "BTC", "initial_deposit": "0.0000000000001"}),
            422,
            "TOO_MANY_DECIMALS",
        ),
        (
            json!({"name": "a", "symbol": "BTC"}),
            409,
            "SUBACCOUNT_NAME_EXISTS",
        ),
        (json!({"name": "b", "symbol": "B/C"}), 400, "INVALID_VALUE"),
        (json!({"name": "b"}), 400, "MISSING_FIELD"),
        (
            json!({"name": "b", "symbol": "BTC", "balance": "1"}),
            400,
            "INVALID_REQUEST",
        ),
        (json!("b"), 400, "INVALID_VALUE"),
    ] {
        assert_eq!(
            user.post("/v1/tradings", body(second.clone()))
                .await
                .refusal(),
            (status, code),
            "{second}"
        );
    }
    for list in ["tradings", "sub-accounts", "transactions", "trading-logs"] {
        let answer = user.get(&format!("/v1/{list}")).await;
        assert_eq!(answer.data()[list.replace('-', "_")], json!([]), "{list}");
    }
    user.post("/v1/tradings", body(json!({"name": "b", "symbol": "BTC"})))
        .await
        .data();
    assert_eq!(
        user.get("/v1/sub-accounts").await.data()["sub_accounts"]
            .as_array()
            .map(Vec::len),
        Some(2)
    );
}
