//! Complete responses, one of each kind, compared with committed snapshots.
//!
//! After an intended change run the tests with `INSTA_UPDATE=always` and review the difference of the snapshots.

use crate::bindings::new_binding;
use crate::events::fixtures::store_rejected;
use crate::exchanges::KEY;
use crate::sign_in::{by_google, world as world_with_providers};
use crate::world::book::Book;
use crate::world::{Answer, PUBLIC_BINDING, User, World};
use chrono::{DateTime, Utc};
use insta::Settings;
use serde_json::{Value, json};
use uuid::Uuid;

/// Returns a word, or its kind if it differs between runs.
fn shown(word: &str) -> &str {
    let is_trace_id = word.len() == 32 && word.chars().all(|c| c.is_ascii_hexdigit());
    if is_trace_id {
        "[trace id]"
    } else if word.parse::<Uuid>().is_ok() {
        "[id]"
    } else if word.parse::<DateTime<Utc>>().is_ok_and(is_now) {
        "[time]"
    } else {
        word
    }
}

/// Returns whether a time is within this run.
fn is_now(time: DateTime<Utc>) -> bool {
    (Utc::now() - time).num_hours().abs() < 1
}

/// Compares a text with a snapshot, except for ids and times.
#[track_caller]
fn assert_text(name: &str, text: &str) {
    let is_separator = |c: char| !c.is_ascii_alphanumeric() && !"-:.+".contains(c);
    let mut redacted = String::new();
    for part in text.split_inclusive(is_separator) {
        let word = part.trim_end_matches(is_separator);
        redacted.push_str(shown(word));
        redacted.push_str(&part[word.len()..]);
    }

    let mut settings = Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, redacted));
}

/// Compares status and body of a response with a snapshot.
#[track_caller]
fn assert_answer(name: &str, answer: &Answer) {
    let whole = json!({"status": answer.status.as_u16(), "body": answer.body});
    let text = serde_json::to_string_pretty(&whole).expect("JSON");
    assert_text(name, &text);
}

/// Creates a book whose history has each kind of row.
async fn traded(user: &User<'_>) -> (Book, Answer) {
    let book = user.book("grid", "10", "1").await;
    let trade = book.trade_with("long", "order_id", "order-1");
    let log = user.log(trade).await;
    (book, log)
}

#[tokio::test]
async fn resources_of_a_trading_match_their_snapshots() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let (book, log) = traded(&user).await;
    let transaction = &log.data()["transaction_ids"][0];
    let transaction = transaction.as_str().expect("an id");
    let deposit = user.deposit(&book.stock, "1.5").await;

    assert_answer("new_trading_log", &log);
    assert_answer("deposit", &deposit);
    for (name, path) in [
        ("trading", format!("tradings/{}", book.trading)),
        ("sub_account", format!("sub-accounts/{}", book.stock)),
        ("transaction", format!("transactions/{transaction}")),
        ("trading_log", format!("trading-logs/{}", log.id())),
    ] {
        let answer = user.get(&format!("/v1/{path}")).await;
        assert_answer(name, &answer);
    }
}

#[tokio::test]
async fn a_page_of_a_list_matches_its_snapshot() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let (book, _) = traded(&user).await;
    user.deposit(&book.stock, "1.5").await.data();

    let mut page = user
        .get("/v1/transactions?limit=2&include_total=true")
        .await;

    page.body["data"]["pagination"]["next_cursor"] = json!("[cursor]");
    assert_answer("transactions", &page);
}

#[tokio::test]
async fn bindings_and_users_match_their_snapshots() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let binding = new_binding("main", "kraken", KEY);

    let created = user.post("/v1/exchange-bindings", binding).await;
    let revealed = user
        .get(&format!("/v1/exchange-bindings/{}", created.id()))
        .await;
    let public = user
        .get(&format!("/v1/exchange-bindings/{PUBLIC_BINDING}"))
        .await;
    let me = user.get("/v1/users/me").await;
    let deleted = user.delete("/v1/users/me").await;

    assert_answer("new_exchange_binding", &created);
    assert_answer("exchange_binding", &revealed);
    assert_answer("public_exchange_binding", &public);
    assert_answer("user", &me);
    assert_answer("deleted_user", &deleted);
}

#[tokio::test]
async fn a_sign_in_matches_its_snapshot() {
    let (world, stub) = world_with_providers().await;

    let mut answer = by_google(&world, &stub, "g-1", "ann@example.com", true).await;

    for token in ["access_token", "refresh_token"] {
        answer.body["data"][token] = json!("[token]");
    }
    assert_answer("sign_in", &answer);
}

#[tokio::test]
async fn events_match_their_snapshots() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let root = world.admin("root").await;
    let book = user.book("grid", "10", "10").await;
    let letter = store_rejected(&user, &book, 1, "50").await;
    let range = json!({"start_time": "2026-01-01T00:00:00Z", "end_time": "2026-02-01T00:00:00Z"});

    let mut letters = user.get("/v1/events/dead-letters").await;
    let rehearsed = root
        .post(
            &format!("/v1/events/dead-letters/{letter}/replay"),
            json!({"dry_run": true}),
        )
        .await;
    let replay = root.post("/v1/events/replay", range).await;

    for ids_inside in ["payload", "subject"] {
        let field = &mut letters.body["data"]["dead_letters"][0][ids_inside];
        *field = json!(format!("[{ids_inside}]"));
    }
    assert_answer("dead_letters", &letters);
    assert_answer("dry_run", &rehearsed);
    assert_answer("new_replay", &replay);
}

#[tokio::test]
async fn errors_match_their_snapshots() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = user.book("grid", "1", "1").await;
    let post = async |path: &str, body: Value| user.post(path, body).await;
    let beyond = book.trade_with("long", "volume", "2000");
    let deep = json!({"name": "t", "type": "paper", "info": []});

    for (name, answer) in [
        ("auth_required", world.anonymous("/v1/tradings").await),
        ("access_denied", user.get("/v1/users").await),
        ("not_found", user.get("/v1/nowhere").await),
        (
            "unknown_resource",
            user.get(&format!("/v1/tradings/{}", Uuid::nil())).await,
        ),
        ("malformed_body", user.post_text("/v1/tradings", "{").await),
        ("missing_field", post("/v1/tradings", json!({})).await),
        ("invalid_value", user.get("/v1/transactions?limit=0").await),
        ("invalid_info", post("/v1/tradings", deep).await),
        ("rejected_trade", post("/v1/trading-logs", beyond).await),
        (
            "balance_not_zero",
            user.delete(&format!("/v1/sub-accounts/{}", book.stock))
                .await,
        ),
    ] {
        assert_answer(&format!("error_{name}"), &answer);
    }
}

#[tokio::test]
async fn a_csv_matches_its_snapshot() {
    let world = World::start().await;
    let user = world.user("ann").await;
    traded(&user).await;

    let csv = user
        .get_with("/v1/transactions", &[("accept", "text/csv")])
        .await;

    csv.assert_status(200);
    assert_text("csv", &csv.text.replace("\r\n", "\n"));
}
