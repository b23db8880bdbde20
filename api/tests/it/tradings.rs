//! Changes and deletion of tradings.

mod deletion;

use crate::bindings::new_binding;
use crate::exchanges::KEY;
use crate::world::book::Book;
use crate::world::orders::NewOrder;
use crate::world::{PUBLIC_BINDING, User, World, text};
use serde_json::json;
use tiris_domain::ids::new_id;

/// A real trading with one account.
struct Real {
    trading: String,
    account: String,
}

async fn real(user: &User<'_>, name: &str, deposit: &str) -> Real {
    let body = json!({"name": name, "type": "real", "exchange_binding_id": PUBLIC_BINDING,
                      "sub_accounts": [{"name": "a", "symbol": "BTC", "initial_deposit": deposit}]});
    let trading = user.post("/v1/tradings", body).await.id();
    let accounts = format!("/v1/sub-accounts?trading_id={trading}");
    let accounts = user.get(&accounts).await;
    let account = text(&accounts.list("sub_accounts")[0]["id"]);
    Real { trading, account }
}

/// Counts all remaining rows of a trading.
const LEFT: &str = "SELECT (SELECT count(*) FROM transactions WHERE trading_id = $1) \
    + (SELECT count(*) FROM trading_logs WHERE trading_id = $1) + (SELECT count(*) FROM tradings WHERE id = $1) \
    + (SELECT count(*) FROM sub_accounts WHERE trading_id = $1) + (SELECT count(*) FROM bots WHERE trading_id = $1) \
    + (SELECT count(*) FROM orders WHERE trading_id = $1) \
    + (SELECT count(*) FROM holds h WHERE NOT EXISTS (SELECT FROM sub_accounts a WHERE a.id = h.sub_account_id))";

#[tokio::test]
async fn a_change_sets_name_and_info() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = user.book("grid", "1", "1").await;
    let path = format!("/v1/tradings/{}", book.trading);
    let before = user.get(&path).await;
    let mut expected = before.data().clone();
    expected["name"] = json!("slow grid");
    expected["info"] = json!({"a": {"b": 1}});

    let change = json!({"name": "slow grid", "info": {"a": {"b": 1}}});
    let changed = user.put(&path, change).await;

    expected["updated_at"] = changed.data()["updated_at"].clone();
    assert_eq!(changed.data(), &expected);
    assert_ne!(expected["updated_at"], before.data()["updated_at"]);
}

#[tokio::test]
async fn a_change_keeps_omitted_fields() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = user.book("grid", "1", "1").await;
    let path = format!("/v1/tradings/{}", book.trading);
    let info = json!({"a": {"b": 1}});
    user.put(&path, json!({"info": info})).await.data();

    let pause = json!({"status": "paused", "name": null});
    let paused = user.put(&path, pause).await;

    assert_eq!(paused.data()["status"], "paused");
    assert_eq!(paused.data()["name"], "grid");
    assert_eq!(paused.data()["info"], info);
    let history = format!("/v1/transactions?trading_id={}", book.trading);
    let history = user.get(&history).await;
    assert_eq!(history.list("transactions").len(), 2);
    // A pause only informs bots; events are still booked.
    user.deposit(&book.stock, "1").await.data();
}

#[tokio::test]
async fn a_change_replaces_info_as_a_whole() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = user.book("grid", "1", "1").await;
    let path = format!("/v1/tradings/{}", book.trading);
    user.put(&path, json!({"info": {"a": 1}})).await.data();

    let change = json!({"info": {"c": 2}, "exchange_binding_id": PUBLIC_BINDING});
    let replaced = user.put(&path, change).await;

    assert_eq!(replaced.data()["info"], json!({"c": 2}));
    assert_eq!(replaced.data()["exchange_binding"]["id"], PUBLIC_BINDING);
    assert_eq!(user.get(&path).await.data(), replaced.data());
}

#[tokio::test]
async fn a_rejected_change_changes_nothing() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let other = world.user("bob").await;
    let book = user.book("grid", "1", "1").await;
    user.book("taken", "0", "0").await;
    let path = format!("/v1/tradings/{}", book.trading);
    let before = user.get(&path).await;
    let bindings = "/v1/exchange-bindings";
    let new = new_binding("x", "kraken", KEY);
    let theirs = other.post(bindings, new.clone()).await.id();
    let deleted = user.post(bindings, new).await.id();
    user.delete(&format!("{bindings}/{deleted}")).await.data();
    let taken = json!({"name": "taken", "status": "paused"});
    let unknown = json!({"exchange_binding_id": new_id(), "status": "paused"});

    for (body, status, code) in [
        (taken, 409, "TRADING_NAME_EXISTS"),
        (json!({"name": ""}), 400, "INVALID_VALUE"),
        (json!({"name": "x".repeat(129)}), 400, "INVALID_VALUE"),
        (json!({"status": "deleting"}), 400, "INVALID_VALUE"),
        (json!({"exchange_binding_id": "x"}), 400, "INVALID_VALUE"),
        (unknown, 404, "NOT_FOUND"),
        (json!({"exchange_binding_id": theirs}), 404, "NOT_FOUND"),
        (json!({"exchange_binding_id": deleted}), 404, "NOT_FOUND"),
        (json!({"info": []}), 400, "INVALID_INFO_STRUCTURE"),
        (json!([]), 400, "INVALID_REQUEST"),
    ] {
        user.put(&path, body).await.assert_error(status, code);
    }

    assert_eq!(user.get(&path).await.data(), before.data());
}

/// Inserts the heartbeat of a bot of a trading.
async fn insert_bot(world: &World, book: &Book) {
    let bot = "INSERT INTO bots (id, user_id, trading_id, component, status, last_seen_at) \
               SELECT gen_random_uuid(), user_id, id, 'main', 'healthy', now() FROM tradings WHERE id = $1::uuid";
    world.run(bot, book.trading.clone()).await;
}

#[tokio::test]
async fn deletes_a_paper_trading_with_all_its_rows() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = user.book("grid", "10", "10").await;
    let log = user.log(book.trade("long")).await;
    let transaction = text(&log.data()["transaction_ids"][0]);
    world.hold(&book.stock, "o1", "0.5").await;
    user.order(&book, NewOrder::default()).await;
    insert_bot(&world, &book).await;
    let path = format!("/v1/tradings/{}", book.trading);

    let deleted = user.delete(&path).await;

    let message = json!({"message": "The trading is deleted."});
    assert_eq!(deleted.data(), &message);
    assert_eq!(world.count(LEFT, &book.trading).await, 0);
    for path in [
        path.clone(),
        format!("/v1/sub-accounts/{}", book.stock),
        format!("/v1/trading-logs/{}", log.id()),
        format!("/v1/transactions/{transaction}"),
        format!("/v1/trading-logs/trading/{}", book.trading),
    ] {
        user.get(&path).await.assert_error(404, "NOT_FOUND");
    }
    user.delete(&path).await.assert_error(404, "NOT_FOUND");
    let change = json!({"name": "x"});
    user.put(&path, change).await.assert_error(404, "NOT_FOUND");
    assert_eq!(
        world.audited(&book.trading).await,
        ["trading.create", "trading.delete"]
    );
    world.verify().await;
}

#[tokio::test]
async fn deleting_a_paper_trading_keeps_other_tradings() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = user.book("grid", "10", "10").await;
    let kept = user.book("other", "3", "4").await;

    let path = format!("/v1/tradings/{}", book.trading);
    user.delete(&path).await.data();

    assert_eq!(user.balance(&kept.stock).await, "3");
    assert_eq!(user.balance(&kept.currency).await, "4");
    let transactions = user.get("/v1/transactions").await;
    assert_eq!(transactions.list("transactions").len(), 2);
    world.verify().await;
    // The name is available again.
    user.book("grid", "1", "1").await;
}

#[tokio::test]
async fn rejects_deleting_a_real_trading_with_money() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let real = real(&user, "live", "2").await;
    let path = format!("/v1/tradings/{}", real.trading);

    let refused = user.delete(&path).await;

    refused.assert_error(409, "TRADING_NOT_EMPTY");
    assert_eq!(user.get(&path).await.data()["status"], "active");
    assert_eq!(user.balance(&real.account).await, "2");
}

#[tokio::test]
async fn deletes_an_empty_real_trading_but_not_its_history() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let Real { trading, account } = real(&user, "live", "2").await;
    user.withdraw(&account, "2").await.data();

    let path = format!("/v1/tradings/{trading}");
    user.delete(&path).await.data();

    for path in [path, format!("/v1/sub-accounts/{account}")] {
        user.get(&path).await.assert_error(404, "NOT_FOUND");
    }
    let deposit = user.deposit(&account, "1").await;
    deposit.assert_error(404, "NOT_FOUND");
    for (path, list, count) in [
        ("/v1/tradings".to_owned(), "tradings", 0),
        ("/v1/sub-accounts".to_owned(), "sub_accounts", 0),
        (
            format!("/v1/transactions?trading_id={trading}"),
            "transactions",
            2,
        ),
        (
            format!("/v1/trading-logs/trading/{trading}"),
            "trading_logs",
            2,
        ),
    ] {
        let answer = user.get(&path).await;
        assert_eq!(answer.list(list).len(), count, "{answer}");
    }
    world.verify().await;
    real(&user, "live", "0").await;
}
