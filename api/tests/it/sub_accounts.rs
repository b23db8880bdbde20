//! Changes and deletion of sub-accounts, and release of holds of bots that no longer run.

use crate::world::{World, text};
use serde_json::{Value, json};
use tiris_domain::ids::new_id;
use tiris_store::ledger::{Disposition, Source, apply_batch};

#[tokio::test]
async fn a_change_sets_name_and_info() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = user.book("grid", "5", "1").await;
    let path = format!("/v1/sub-accounts/{}", book.stock);
    let mut expected = user.get(&path).await.data().clone();
    expected["name"] = json!("coins");
    expected["info"] = json!({"a": 1});

    let change = json!({"name": "coins", "info": {"a": 1}});
    let changed = user.put(&path, change).await;

    expected["updated_at"] = changed.data()["updated_at"].clone();
    assert_eq!(changed.data(), &expected);
    assert_eq!(user.get(&path).await.data(), &expected);
    let renamed = user.put(&path, json!({"name": "more"})).await;
    assert_eq!(renamed.data()["info"], json!({"a": 1}));
    let emptied = user.put(&path, json!({"info": {}})).await;
    assert_eq!(emptied.data()["info"], json!({}));
}

#[tokio::test]
async fn a_change_never_takes_money() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = user.book("grid", "5", "1").await;
    let path = format!("/v1/sub-accounts/{}", book.stock);
    let before = user.get(&path).await;
    let funded = json!({"name": "x", "balance": "7"});

    for (body, status, code) in [
        (json!({"name": "currency"}), 409, "SUBACCOUNT_NAME_EXISTS"),
        (funded, 400, "INVALID_REQUEST"),
        (json!({"locked": "0"}), 400, "INVALID_REQUEST"),
        (json!({"symbol": "BTC"}), 400, "INVALID_REQUEST"),
        (json!({"name": ""}), 400, "INVALID_VALUE"),
        (json!({"info": 1}), 400, "INVALID_INFO_STRUCTURE"),
    ] {
        user.put(&path, body).await.assert_error(status, code);
    }

    assert_eq!(user.get(&path).await.data(), before.data());
}

#[tokio::test]
async fn rejects_deleting_an_account_with_money_or_holds() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = user.book("grid", "5", "0").await;
    let path = format!("/v1/sub-accounts/{}", book.stock);
    world.hold(&book.stock, "o1", "5").await;

    let held = user.delete(&path).await;
    held.assert_error(409, "BALANCE_NOT_ZERO");

    let hold = format!("{path}/holds?order_id=o1");
    user.delete(&hold).await.data();
    let funded = user.delete(&path).await;
    funded.assert_error(409, "BALANCE_NOT_ZERO");
}

#[tokio::test]
async fn deletes_an_empty_account_but_not_its_history() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = user.book("grid", "5", "0").await;
    let path = format!("/v1/sub-accounts/{}", book.stock);
    user.withdraw(&book.stock, "5").await.data();

    let deleted = user.delete(&path).await;

    let message = json!({"message": "The sub-account is deleted."});
    assert_eq!(deleted.data(), &message);
    for answer in [
        user.get(&path).await,
        user.delete(&path).await,
        user.put(&path, json!({"name": "x"})).await,
        user.deposit(&book.stock, "1").await,
    ] {
        answer.assert_error(404, "NOT_FOUND");
    }
    let list = format!("/v1/sub-accounts?trading_id={}", book.trading);
    let left = user.get(&list).await;
    assert_eq!(left.list("sub_accounts").len(), 1);
    let history = format!("/v1/transactions?sub_account_id={}", book.stock);
    let history = user.get(&history).await;
    assert_eq!(history.list("transactions").len(), 2);
    assert_eq!(
        world.audited(&book.stock).await,
        ["sub_account.withdraw", "sub_account.delete"]
    );
    world.verify().await;

    // The name is available again.
    let again = json!({"trading_id": book.trading, "name": "stock", "symbol": "ETH"});
    user.post("/v1/sub-accounts", again).await.data();
}

#[tokio::test]
async fn a_concurrent_deposit_prevents_the_deletion() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = user.book("grid", "0", "0").await;
    let path = format!("/v1/sub-accounts/{}", book.stock);
    let entry = book.deposit_entry(user.id, &book.stock, Source::Manual);
    let mut booking = world.pool().begin().await.expect("a transaction");
    let batch = apply_batch(&mut booking, &[entry], 7)
        .await
        .expect("booked");
    assert!(matches!(batch.dispositions[..], [Disposition::Applied(_)]));

    let (deleted, ()) = tokio::join!(user.delete(&path), async {
        world.lock_is_waited_for().await;
        booking.commit().await.expect("committed");
    });

    deleted.assert_error(409, "BALANCE_NOT_ZERO");
    assert_eq!(user.balance(&book.stock).await, "1");
    world.verify().await;
}

#[tokio::test]
async fn the_owner_releases_holds_of_a_bot() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = user.book("grid", "5", "1").await;
    let path = format!("/v1/sub-accounts/{}", book.stock);
    for (order, amount) in [("o 1/ü", "1.5"), ("o2", "2"), ("", "0.25")] {
        world.hold(&book.stock, order, amount).await;
    }

    let named = format!("{path}/holds?order_id=o%201%2F%C3%BC");
    let released = user.delete(&named).await;

    let message = json!({"message": "The hold is released."});
    assert_eq!(released.data(), &message);
    let account = user.get(&path).await;
    assert_eq!(account.data()["locked"], "2.25");
    // The balance did not move.
    assert_eq!(account.data()["balance"], "5");
    assert_eq!(account.data()["sequence"], 1);

    let without_order = format!("{path}/holds?order_id=");
    user.delete(&without_order).await.data();

    let holds = user.get(&format!("{path}/holds")).await;
    let left = holds.list("holds").iter();
    let left: Vec<&Value> = left.map(|hold| &hold["order_id"]).collect();
    assert_eq!(left, ["o2"]);
    world.verify().await;
}

#[tokio::test]
async fn a_released_hold_is_logged_and_audited() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = user.book("grid", "5", "1").await;
    let holds = format!("/v1/sub-accounts/{}/holds", book.stock);
    world.hold(&book.stock, "o1", "1.5").await;
    world.hold(&book.stock, "", "0.25").await;

    for order in ["o1", ""] {
        let hold = format!("{holds}?order_id={order}");
        user.delete(&hold).await.data();
    }

    let logs = user
        .get("/v1/trading-logs?type=balance_unlocked&source=manual")
        .await;
    let logs = logs.list("trading_logs");
    assert_eq!(logs.len(), 2);
    assert_eq!(logs[1]["order_id"], "o1");
    assert_eq!(logs[0]["order_id"], Value::Null);
    assert!(text(&logs[1]["message"]).contains("1.5 ETH"), "{}", logs[1]);
    assert_eq!(logs[1]["sub_account_id"], json!(book.stock));
    let before: Value = world
        .scalar("SELECT before FROM audit_logs WHERE action = 'hold.release' ORDER BY timestamp LIMIT 1")
        .await;
    assert_eq!(before, json!({"order_id": "o1", "amount": "1.5"}));
}

#[tokio::test]
async fn rejects_releasing_a_missing_hold() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = user.book("grid", "5", "1").await;
    let own = format!("/v1/sub-accounts/{}/holds", book.stock);
    let unknown = format!("/v1/sub-accounts/{}/holds", new_id());
    let long = format!("?order_id={}", "x".repeat(129));
    world.hold(&book.stock, "o2", "1").await;

    for (holds, query, status, code) in [
        (&own, "?order_id=", 404, "NOT_FOUND"),
        (&own, "?order_id=o1", 404, "NOT_FOUND"),
        (&own, "", 400, "INVALID_VALUE"),
        (&own, "?order_id=%00", 400, "INVALID_VALUE"),
        (&own, &long, 400, "INVALID_VALUE"),
        (&unknown, "?order_id=o2", 404, "NOT_FOUND"),
    ] {
        let answer = user.delete(&format!("{holds}{query}")).await;
        answer.assert_error(status, code);
    }
}

#[tokio::test]
async fn concurrent_requests_release_a_hold_once() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = user.book("grid", "5", "1").await;
    let account = format!("/v1/sub-accounts/{}", book.stock);
    let hold = format!("{account}/holds?order_id=o1");
    world.hold(&book.stock, "o1", "2").await;

    let answers = futures_util::future::join_all((0..8).map(|_| user.delete(&hold))).await;

    let (released, refused): (Vec<_>, Vec<_>) = answers
        .iter()
        .partition(|answer| answer.status.is_success());
    assert_eq!(released.len(), 1);
    for answer in refused {
        answer.assert_error(404, "NOT_FOUND");
    }
    assert_eq!(user.get(&account).await.data()["locked"], "0");
    world.verify().await;
}
