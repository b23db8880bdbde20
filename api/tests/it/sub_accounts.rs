//! Sub-accounts change their name, never their money; they go when they are empty, and holds of dead bots are released.

use crate::world::{World, hold, text};
use serde_json::{Value, json};
use tiris_domain::ids::{AccountId, TradingId, new_id};
use tiris_domain::ledger::{Belief, Command, Direction, Movement};
use tiris_store::ledger::{Disposition, Entry, Source, apply_batch};

#[tokio::test]
async fn a_change_takes_name_and_info_and_never_money() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let desk = user.desk("grid", "5", "1").await;
    let path = format!("/v1/sub-accounts/{}", desk.stock);
    let before = user.get(&path).await.data().clone();
    let changed = user
        .put(&path, json!({"name": "coins", "info": {"a": 1}}))
        .await;
    let mut expected = before.clone();
    (expected["name"], expected["info"]) = (json!("coins"), json!({"a": 1}));
    expected["updated_at"] = changed.data()["updated_at"].clone();
    assert_eq!(changed.data(), &expected);
    assert_eq!(
        user.get(&path).await.data(),
        &expected,
        "what was answered is what is stored"
    );
    assert_eq!(
        user.put(&path, json!({"name": "more"})).await.data()["info"],
        json!({"a": 1})
    );
    assert_eq!(
        user.put(&path, json!({"info": {}})).await.data()["info"],
        json!({})
    );
    for (body, refusal) in [
        (json!({"name": "currency"}), (409, "SUBACCOUNT_NAME_EXISTS")),
        (
            json!({"name": "x", "balance": "7"}),
            (400, "INVALID_REQUEST"),
        ),
        (json!({"locked": "0"}), (400, "INVALID_REQUEST")),
        (json!({"symbol": "BTC"}), (400, "INVALID_REQUEST")),
        (json!({"name": ""}), (400, "INVALID_VALUE")),
        (json!({"info": 1}), (400, "INVALID_INFO_STRUCTURE")),
    ] {
        assert_eq!(
            user.put(&path, body.clone()).await.refusal(),
            refusal,
            "{body}"
        );
    }
    let after = user.get(&path).await;
    assert_eq!(
        (&after.data()["name"], &after.data()["balance"]),
        (&json!("more"), &json!("5"))
    );
}

#[tokio::test]
async fn an_account_goes_only_when_it_is_empty_and_its_history_stays() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let desk = user.desk("grid", "5", "0").await;
    let path = format!("/v1/sub-accounts/{}", desk.stock);
    hold(&world, &desk.stock, "o1", "5").await;
    assert_eq!(
        user.delete(&path).await.refusal(),
        (409, "BALANCE_NOT_ZERO")
    );
    user.delete(&format!("{path}/holds?order_id=o1"))
        .await
        .data();
    assert_eq!(
        user.delete(&path).await.refusal(),
        (409, "BALANCE_NOT_ZERO")
    );
    user.post(&format!("{path}/withdraw"), json!({"amount": "5"}))
        .await
        .data();
    assert_eq!(
        user.delete(&path).await.data(),
        &json!({"message": "The sub-account is deleted."})
    );
    for answer in [
        user.get(&path).await,
        user.delete(&path).await,
        user.put(&path, json!({"name": "x"})).await,
    ] {
        assert_eq!(answer.refusal(), (404, "NOT_FOUND"));
    }
    let deposit = user
        .post(&format!("{path}/deposit"), json!({"amount": "1"}))
        .await;
    assert_eq!(deposit.refusal(), (404, "NOT_FOUND"));
    let left = user
        .get(&format!("/v1/sub-accounts?trading_id={}", desk.trading))
        .await;
    assert_eq!(
        left.data()["sub_accounts"].as_array().map(Vec::len),
        Some(1)
    );
    let history = user
        .get(&format!("/v1/transactions?sub_account_id={}", desk.stock))
        .await;
    assert_eq!(
        history.data()["transactions"].as_array().map(Vec::len),
        Some(2)
    );
    assert_eq!(
        world.audited(&desk.stock).await,
        ["hold.release", "sub_account.delete"]
    );
    world.verify().await;
    let again = json!({"trading_id": desk.trading, "name": "stock", "symbol": "ETH"});
    user.post("/v1/sub-accounts", again).await.data();
}

#[tokio::test]
async fn a_deposit_under_way_is_waited_for_and_keeps_the_account() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let desk = user.desk("grid", "0", "0").await;
    let account = AccountId(desk.stock.parse().expect("an id"));
    let movement = Movement {
        account,
        asset: "ETH".parse().expect("a symbol"),
        direction: Direction::Credit,
        amount: "1".parse().expect("an amount"),
        order: None,
        reason: "deposit".to_owned(),
        belief: Belief::default(),
    };
    let entry = Entry {
        user: user.id,
        trading: TradingId(desk.trading.parse().expect("an id")),
        sub_account: Some(account),
        command: Command::Move(movement),
        claim: None,
        log_type: "deposit".to_owned(),
        source: Source::Manual,
        order: None,
        event_time: None,
        message: String::new(),
        info: serde_json::Map::new(),
    };
    let mut booking = world.database.pool().begin().await.expect("a transaction");
    let batch = apply_batch(&mut booking, &[entry], 7)
        .await
        .expect("booked");
    assert!(matches!(batch.dispositions[..], [Disposition::Applied(_)]));
    let path = format!("/v1/sub-accounts/{account}");
    let (deleted, ()) = tokio::join!(user.delete(&path), async {
        world.somebody_waits().await;
        booking.commit().await.expect("committed");
    });
    assert_eq!(deleted.refusal(), (409, "BALANCE_NOT_ZERO"));
    assert_eq!(user.balance(&desk.stock).await, "1");
    world.verify().await;
}

#[tokio::test]
async fn the_owner_releases_what_a_dead_bot_holds_and_the_books_explain_it() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let desk = user.desk("grid", "5", "1").await;
    let path = format!("/v1/sub-accounts/{}", desk.stock);
    for (order, amount) in [("o 1/ü", "1.5"), ("o2", "2"), ("", "0.25")] {
        hold(&world, &desk.stock, order, amount).await;
    }
    let released = user
        .delete(&format!("{path}/holds?order_id=o%201%2F%C3%BC"))
        .await;
    assert_eq!(
        released.data(),
        &json!({"message": "The hold is released."})
    );
    let account = user.get(&path).await;
    assert_eq!(
        (&account.data()["locked"], &account.data()["balance"]),
        (&json!("2.25"), &json!("5"))
    );
    assert_eq!(account.data()["sequence"], 1, "the balance did not move");
    user.delete(&format!("{path}/holds?order_id=")).await.data();
    let holds = user.get(&format!("{path}/holds")).await;
    let orders: Vec<&Value> = holds.data()["holds"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|hold| &hold["order_id"])
        .collect();
    assert_eq!(orders, [&json!("o2")]);
    let logs = user
        .get("/v1/trading-logs?type=balance_unlocked&source=manual")
        .await;
    let logs = logs.data()["trading_logs"]
        .as_array()
        .expect("a list")
        .clone();
    assert_eq!(logs.len(), 2);
    assert_eq!(
        (&logs[1]["order_id"], &logs[0]["order_id"]),
        (&json!("o 1/ü"), &Value::Null)
    );
    assert!(text(&logs[1]["message"]).contains("1.5 ETH"), "{}", logs[1]);
    assert_eq!(logs[1]["sub_account_id"], json!(desk.stock));
    let before: Value = sqlx::query_scalar(
        "SELECT before FROM audit_logs WHERE action = 'hold.release' ORDER BY timestamp LIMIT 1",
    )
    .fetch_one(world.database.pool())
    .await
    .expect("an audit row");
    assert_eq!(before, json!({"order_id": "o 1/ü", "amount": "1.5"}));
    for (query, refusal) in [
        ("?order_id=", (404, "NOT_FOUND")),
        ("?order_id=o1", (404, "NOT_FOUND")),
        ("", (400, "INVALID_VALUE")),
        ("?order_id=%00", (400, "INVALID_VALUE")),
        (
            format!("?order_id={}", "x".repeat(129)).as_str(),
            (400, "INVALID_VALUE"),
        ),
    ] {
        assert_eq!(
            user.delete(&format!("{path}/holds{query}")).await.refusal(),
            refusal,
            "{query}"
        );
    }
    let unknown = user
        .delete(&format!("/v1/sub-accounts/{}/holds?order_id=o2", new_id()))
        .await;
    assert_eq!(unknown.refusal(), (404, "NOT_FOUND"));
    world.verify().await;
}

#[tokio::test]
async fn a_hold_is_released_once_however_often_that_is_asked_at_once() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let desk = user.desk("grid", "5", "1").await;
    hold(&world, &desk.stock, "o1", "2").await;
    let path = format!("/v1/sub-accounts/{}/holds?order_id=o1", desk.stock);
    let answers = futures_util::future::join_all((0..8).map(|_| user.delete(&path))).await;
    assert_eq!(
        answers
            .iter()
            .filter(|answer| answer.status.is_success())
            .count(),
        1
    );
    for answer in answers.iter().filter(|answer| !answer.status.is_success()) {
        assert_eq!(answer.refusal(), (404, "NOT_FOUND"));
    }
    let account = user.get(&format!("/v1/sub-accounts/{}", desk.stock)).await;
    assert_eq!(account.data()["locked"], "0");
    world.verify().await;
}
