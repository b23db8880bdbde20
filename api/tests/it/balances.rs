//! Concurrent changes of balances, and atomic creation.

use crate::world::World;
use serde_json::{Value, json};

#[tokio::test]
async fn concurrent_withdrawals_never_overdraw() {
    const REQUESTS: usize = 24;
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = user.book("grid", "10", "0").await;

    let withdrawals = (0..REQUESTS).map(|_| user.withdraw(&book.stock, "1"));
    let answers = futures_util::future::join_all(withdrawals).await;

    let (done, refused): (Vec<_>, Vec<_>) = answers
        .iter()
        .partition(|answer| answer.status.is_success());
    assert_eq!(done.len(), 10);
    for answer in refused {
        answer.assert_error(422, "INSUFFICIENT_BALANCE");
    }
    assert_eq!(user.balance(&book.stock).await, "0");

    let history = format!("/v1/transactions?sub_account_id={}", book.stock);
    let history = user.get(&history).await;
    let rows = history.list("transactions").iter();
    let sequences: Vec<Value> = rows.map(|row| row["sequence"].clone()).collect();
    // Newest first, without a gap.
    let expected: Vec<Value> = (1..=11).rev().map(Value::from).collect();
    assert_eq!(sequences, expected);
}

#[tokio::test]
async fn concurrent_opposite_trades_do_not_deadlock_or_lose_money() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = user.book("grid", "100", "100").await;
    let mut free = [book.trade("long"), book.trade("short")];
    for trade in &mut free {
        trade["info"]["fee"] = json!("0");
    }

    let trades = (0..40).map(|number| user.post("/v1/trading-logs", free[number % 2].clone()));

    for answer in futures_util::future::join_all(trades).await {
        answer.data();
    }

    assert_eq!(user.balance(&book.stock).await, "100");
    assert_eq!(user.balance(&book.currency).await, "100");
}

#[tokio::test]
async fn creates_a_trading_with_all_its_accounts_or_not_at_all() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let with = |second: Value| {
        let first = json!({"name": "a", "symbol": "ETH", "initial_deposit": "1"});
        json!({"name": "grid", "type": "backtest", "sub_accounts": [first, second]})
    };
    let opened = |amount: &str| json!({"name": "b", "symbol": "BTC", "initial_deposit": amount});
    let funded = json!({"name": "b", "symbol": "BTC", "balance": "1"});
    let twice = json!({"name": "a", "symbol": "BTC"});

    for (second, status, code) in [
        (opened("-1"), 422, "INVALID_AMOUNT"),
        (opened("1e-19"), 422, "INVALID_AMOUNT"),
        (twice, 409, "SUBACCOUNT_NAME_EXISTS"),
        (json!({"name": "b", "symbol": "B/C"}), 400, "INVALID_VALUE"),
        (json!({"name": "b"}), 400, "MISSING_FIELD"),
        (funded, 400, "INVALID_REQUEST"),
        (json!("b"), 400, "INVALID_VALUE"),
    ] {
        let answer = user.post("/v1/tradings", with(second)).await;
        answer.assert_error(status, code);
    }

    for list in ["tradings", "sub-accounts", "transactions", "trading-logs"] {
        let answer = user.get(&format!("/v1/{list}")).await;
        assert!(answer.list(&list.replace('-', "_")).is_empty(), "{answer}");
    }
    let right = with(json!({"name": "b", "symbol": "BTC"}));
    user.post("/v1/tradings", right).await.data();
    let accounts = user.get("/v1/sub-accounts").await;
    assert_eq!(accounts.list("sub_accounts").len(), 2);
}
