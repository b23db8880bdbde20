//! Tradings change, and go: with all they held, or with their history kept.

use crate::bindings::new_binding;
use crate::exchanges::KEY;
use crate::world::{PUBLIC_BINDING, User, World, hold, text};
use serde_json::{Value, json};
use tiris_domain::ids::{TradingId, new_id};
use tiris_domain::ledger::Command;
use tiris_store::ledger::{Disposition, Entry, Source, apply_batch};
use tiris_store::tradings::{self, Purged};
use tiris_testing::grow_history;
use uuid::Uuid;

async fn real(user: &User<'_>, name: &str, deposit: &str) -> (String, String) {
    let body = json!({"name": name, "type": "real", "exchange_binding_id": PUBLIC_BINDING,
                      "sub_accounts": [{"name": "a", "symbol": "BTC", "initial_deposit": deposit}]});
    let trading = text(&user.post("/v1/tradings", body).await.data()["id"]);
    let accounts = user
        .get(&format!("/v1/sub-accounts?trading_id={trading}"))
        .await;
    (trading, text(&accounts.data()["sub_accounts"][0]["id"]))
}

/// Everything the database still has of a trading.
const LEFT: &str = "SELECT (SELECT count(*) FROM transactions WHERE trading_id = $1) \
    + (SELECT count(*) FROM trading_logs WHERE trading_id = $1) + (SELECT count(*) FROM tradings WHERE id = $1) \
    + (SELECT count(*) FROM sub_accounts WHERE trading_id = $1) + (SELECT count(*) FROM bots WHERE trading_id = $1) \
    + (SELECT count(*) FROM holds h WHERE NOT EXISTS (SELECT FROM sub_accounts a WHERE a.id = h.sub_account_id))";

#[tokio::test]
async fn a_change_takes_what_it_names_and_leaves_the_rest() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let desk = user.desk("grid", "1", "1").await;
    let path = format!("/v1/tradings/{}", desk.trading);
    let before = user.get(&path).await.data().clone();
    let first = json!({"name": "slow grid", "info": {"a": {"b": 1}}});
    let changed = user.put(&path, first).await;
    let mut expected = before.clone();
    (expected["name"], expected["info"]) = (json!("slow grid"), json!({"a": {"b": 1}}));
    expected["updated_at"] = changed.data()["updated_at"].clone();
    assert_eq!(changed.data(), &expected);
    assert_ne!(expected["updated_at"], before["updated_at"]);
    let paused = user
        .put(&path, json!({"status": "paused", "name": null}))
        .await;
    assert_eq!(
        (&paused.data()["status"], &paused.data()["name"]),
        (&json!("paused"), &json!("slow grid"))
    );
    assert_eq!(
        paused.data()["info"],
        json!({"a": {"b": 1}}),
        "without info it is left alone"
    );
    let replaced = user
        .put(
            &path,
            json!({"info": {"c": 2}, "exchange_binding_id": PUBLIC_BINDING}),
        )
        .await;
    assert_eq!(
        replaced.data()["info"],
        json!({"c": 2}),
        "with info it is replaced whole"
    );
    assert_eq!(replaced.data()["exchange_binding"]["id"], PUBLIC_BINDING);
    assert_eq!(
        user.get(&path).await.data(),
        replaced.data(),
        "what was answered is what is stored"
    );
    let history = user
        .get(&format!("/v1/transactions?trading_id={}", desk.trading))
        .await;
    assert_eq!(
        history.data()["transactions"].as_array().map(Vec::len),
        Some(2),
        "the history stays"
    );
    // A pause is for bots that ask; what happened is booked.
    let deposit = format!("/v1/sub-accounts/{}/deposit", desk.stock);
    user.post(&deposit, json!({"amount": "1"})).await.data();
}

#[tokio::test]
async fn a_change_that_cannot_be_is_refused_and_changes_nothing() {
    let world = World::start().await;
    let (user, other) = (world.user("ann").await, world.user("bob").await);
    let desk = user.desk("grid", "1", "1").await;
    user.desk("taken", "0", "0").await;
    let path = format!("/v1/tradings/{}", desk.trading);
    let before = user.get(&path).await.data().clone();
    let theirs = other
        .post("/v1/exchange-bindings", new_binding("x", "kraken", KEY))
        .await;
    let gone = text(
        &user
            .post("/v1/exchange-bindings", new_binding("x", "kraken", KEY))
            .await
            .data()["id"],
    );
    user.delete(&format!("/v1/exchange-bindings/{gone}"))
        .await
        .data();
    for (body, refusal) in [
        (
            json!({"name": "taken", "status": "paused"}),
            (409, "TRADING_NAME_EXISTS"),
        ),
        (json!({"name": ""}), (400, "INVALID_VALUE")),
        (json!({"name": "x".repeat(129)}), (400, "INVALID_VALUE")),
        (json!({"status": "deleting"}), (400, "INVALID_VALUE")),
        (json!({"exchange_binding_id": "x"}), (400, "INVALID_VALUE")),
        (
            json!({"exchange_binding_id": new_id(), "status": "paused"}),
            (404, "NOT_FOUND"),
        ),
        (
            json!({"exchange_binding_id": theirs.data()["id"]}),
            (404, "NOT_FOUND"),
        ),
        (json!({"exchange_binding_id": gone}), (404, "NOT_FOUND")),
        (json!({"info": []}), (400, "INVALID_INFO_STRUCTURE")),
        (json!([]), (400, "INVALID_REQUEST")),
    ] {
        assert_eq!(
            user.put(&path, body.clone()).await.refusal(),
            refusal,
            "{body}"
        );
    }
    assert_eq!(user.get(&path).await.data(), &before);
}

#[tokio::test]
async fn a_paper_trading_goes_with_all_it_held_and_nothing_else_does() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let (desk, kept) = (
        user.desk("grid", "10", "10").await,
        user.desk("other", "3", "4").await,
    );
    let log = user.post("/v1/trading-logs", desk.trade("long")).await;
    hold(&world, &desk.stock, "o1", "0.5").await;
    let trading: Uuid = desk.trading.parse().expect("an id");
    let beat = "INSERT INTO bots (id, user_id, trading_id, component, status, last_seen_at) \
                SELECT gen_random_uuid(), user_id, id, 'main', 'healthy', now() FROM tradings WHERE id = $1";
    world.run(beat, trading).await;
    let path = format!("/v1/tradings/{}", desk.trading);
    assert_eq!(
        user.delete(&path).await.data(),
        &json!({"message": "The trading is deleted."})
    );
    assert_eq!(world.count(LEFT, &desk.trading).await, 0);
    for path in [
        path.clone(),
        format!("/v1/sub-accounts/{}", desk.stock),
        format!("/v1/trading-logs/{}", text(&log.data()["id"])),
        format!(
            "/v1/transactions/{}",
            text(&log.data()["transaction_ids"][0])
        ),
        format!("/v1/trading-logs/trading/{}", desk.trading),
    ] {
        assert_eq!(
            user.get(&path).await.refusal(),
            (404, "NOT_FOUND"),
            "{path}"
        );
    }
    assert_eq!(user.delete(&path).await.refusal(), (404, "NOT_FOUND"));
    assert_eq!(
        user.put(&path, json!({"name": "x"})).await.refusal(),
        (404, "NOT_FOUND")
    );
    assert_eq!(
        (
            user.balance(&kept.stock).await,
            user.balance(&kept.currency).await
        ),
        ("3".into(), "4".into())
    );
    assert_eq!(
        user.get("/v1/transactions").await.data()["transactions"]
            .as_array()
            .map(Vec::len),
        Some(2)
    );
    assert_eq!(world.audited(&desk.trading).await, ["trading.delete"]);
    world.verify().await;
    user.desk("grid", "1", "1").await;
}

#[tokio::test]
async fn a_real_trading_goes_only_without_money_and_leaves_its_history() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let (trading, account) = real(&user, "live", "2").await;
    let path = format!("/v1/tradings/{trading}");
    assert_eq!(
        user.delete(&path).await.refusal(),
        (409, "TRADING_NOT_EMPTY")
    );
    assert_eq!(user.get(&path).await.data()["status"], "active");
    assert_eq!(user.balance(&account).await, "2");
    user.post(
        &format!("/v1/sub-accounts/{account}/withdraw"),
        json!({"amount": "2"}),
    )
    .await
    .data();
    user.delete(&path).await.data();
    for path in [path.clone(), format!("/v1/sub-accounts/{account}")] {
        assert_eq!(
            user.get(&path).await.refusal(),
            (404, "NOT_FOUND"),
            "{path}"
        );
    }
    let deposit = user
        .post(
            &format!("/v1/sub-accounts/{account}/deposit"),
            json!({"amount": "1"}),
        )
        .await;
    assert_eq!(deposit.refusal(), (404, "NOT_FOUND"));
    assert_eq!(user.get("/v1/tradings").await.data()["tradings"], json!([]));
    assert_eq!(
        user.get("/v1/sub-accounts").await.data()["sub_accounts"],
        json!([])
    );
    for (list, key) in [
        (
            format!("/v1/transactions?trading_id={trading}"),
            "transactions",
        ),
        (
            format!("/v1/trading-logs/trading/{trading}"),
            "trading_logs",
        ),
    ] {
        assert_eq!(
            user.get(&list).await.data()[key].as_array().map(Vec::len),
            Some(2),
            "{list}"
        );
    }
    world.verify().await;
    real(&user, "live", "0").await;
}

#[tokio::test]
async fn a_long_history_is_gone_at_once_and_removed_in_pieces_that_can_be_cut_off() {
    const POSTINGS: i32 = 12_500;
    let world = World::start().await;
    let user = world.user("ann").await;
    let (desk, kept) = (
        user.desk("grid", "0", "0").await,
        user.desk("other", "1", "1").await,
    );
    let account = desk.stock.parse().expect("an id");
    grow_history(world.database.pool(), account, POSTINGS)
        .await
        .expect("a history");
    world.verify().await;
    user.delete(&format!("/v1/tradings/{}", desk.trading))
        .await
        .data();
    let transactions = "SELECT count(*) FROM transactions WHERE trading_id = $1";
    assert_eq!(
        world.count(transactions, &desk.trading).await,
        2_500,
        "the request removed its share"
    );
    for (list, count) in [
        ("tradings", 1),
        ("sub-accounts", 2),
        ("transactions", 2),
        ("trading-logs", 2),
    ] {
        let seen = user.get(&format!("/v1/{list}")).await;
        assert_eq!(
            seen.data()[list.replace('-', "_")].as_array().map(Vec::len),
            Some(count),
            "{list}"
        );
    }
    let logs = user
        .get(&format!("/v1/trading-logs/trading/{}", desk.trading))
        .await;
    assert_eq!(logs.refusal(), (404, "NOT_FOUND"));
    user.desk("grid", "1", "1").await;
    world.verify().await;

    let id = TradingId(desk.trading.parse().expect("an id"));
    let mut cut_off = world.database.pool().begin().await.expect("a transaction");
    assert_eq!(
        tradings::purge_some(&mut cut_off, id, 1_000)
            .await
            .expect("a piece"),
        Purged::Some
    );
    let mut other = world.database.pool().begin().await.expect("a transaction");
    assert_eq!(
        tradings::purge_some(&mut other, id, 1_000)
            .await
            .expect("nothing"),
        Purged::Nothing,
        "one at a time"
    );
    drop((cut_off, other));
    assert_eq!(world.count(transactions, &desk.trading).await, 2_500);
    let mut pieces = 0;
    loop {
        let mut piece = world.database.pool().begin().await.expect("a transaction");
        let purged = tradings::purge_some(&mut piece, id, 1_000)
            .await
            .expect("a piece");
        piece.commit().await.expect("committed");
        world.verify().await;
        pieces += 1;
        match purged {
            Purged::Some => {}
            Purged::All => break,
            Purged::Nothing => panic!("somebody else is at it"),
        }
    }
    assert!((14..=16).contains(&pieces), "{pieces}: postings, then logs");
    assert_eq!(world.count(LEFT, &desk.trading).await, 0);
    assert_eq!(user.balance(&kept.stock).await, "1");
}

fn record(user: &User<'_>, trading: TradingId) -> Entry {
    Entry {
        user: user.id,
        trading,
        sub_account: None,
        command: Command::Record { account: None },
        claim: None,
        log_type: "signal".to_owned(),
        source: Source::Bot,
        order: None,
        event_time: None,
        message: String::new(),
        info: serde_json::Map::new(),
    }
}

#[tokio::test]
async fn what_is_being_booked_without_an_account_is_waited_for() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let desk = user.desk("grid", "1", "1").await;
    let trading = TradingId(desk.trading.parse().expect("an id"));
    let mut booking = world.database.pool().begin().await.expect("a transaction");
    let entries = [record(&user, trading)];
    let batch = apply_batch(&mut booking, &entries, 7)
        .await
        .expect("booked");
    assert!(matches!(batch.dispositions[..], [Disposition::Applied(_)]));
    let path = format!("/v1/tradings/{trading}");
    let (deleted, ()) = tokio::join!(user.delete(&path), async {
        world.somebody_waits().await;
        booking.commit().await.expect("committed");
    });
    deleted.data();
    assert_eq!(
        world.count(LEFT, &desk.trading).await,
        0,
        "no log without its trading"
    );
    world.verify().await;
}

#[tokio::test]
async fn deleting_while_much_is_booked_leaves_no_row_behind() {
    let world = World::start().await;
    let user = world.user("ann").await;
    for round in 0..5 {
        let desk = user.desk(&format!("grid {round}"), "1000", "1000").await;
        let (path, deposit) = (
            format!("/v1/tradings/{}", desk.trading),
            format!("/v1/sub-accounts/{}/deposit", desk.stock),
        );
        let note =
            json!({"trading_id": desk.trading, "type": "note", "source": "bot", "message": ""});
        let account =
            json!({"trading_id": desk.trading, "name": "late", "symbol": "ETH", "balance": "1"});
        let (trade, amount) = (desk.trade("long"), json!({"amount": "1"}));
        let book = async |number: usize| match number % 4 {
            0 => user.post("/v1/trading-logs", trade.clone()).await,
            1 => user.post("/v1/trading-logs", note.clone()).await,
            2 => user.post(&deposit, amount.clone()).await,
            _ => {
                let mut account = account.clone();
                account["name"] = json!(format!("late {number}"));
                user.post("/v1/sub-accounts", account).await
            }
        };
        let asked = futures_util::future::join_all((0..16).map(book));
        let (deleted, answers) = tokio::join!(user.delete(&path), asked);
        deleted.data();
        for answer in answers.iter().filter(|answer| !answer.status.is_success()) {
            assert_eq!(answer.refusal(), (404, "NOT_FOUND"));
        }
        assert_eq!(world.count(LEFT, &desk.trading).await, 0);
    }
    assert_eq!(
        user.get("/v1/trading-logs").await.data()["trading_logs"],
        Value::Array(Vec::new())
    );
    world.verify().await;
}
