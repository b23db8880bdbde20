//! Parameters of requests: unknown, repeated and unusual ones are refused on every operation.

use crate::openapi::operations;
use crate::world::{Answer, User, World};
use reqwest::Method;
use serde_json::json;

/// An id that nothing has.
const NOTHING: &str = "01928f2e-7c3a-7b6f-9d10-3f5d2a1b4c5e";

/// Returns the spellings of an id that a UUID parser accepts and this API does not.
fn other_spellings(id: &str) -> [String; 4] {
    [
        id.to_uppercase(),
        id.replace('-', ""),
        format!("%7B{id}%7D"),
        format!("urn:uuid:{id}"),
    ]
}

#[track_caller]
fn assert_misspelled(answer: &Answer, name: &str, id: &str) {
    answer.assert_error(400, "INVALID_VALUE");
    answer.assert_details(name);
    answer.assert_details(id);
}

#[tokio::test]
async fn every_operation_rejects_an_unknown_parameter() {
    let world = World::start().await;
    let admin = world.admin("root").await;

    for (method, path, _) in operations() {
        let path = path.replace("{id}", NOTHING);
        let path = path.replace("{trading_id}", NOTHING);
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        let answer = admin
            .send(method, &format!("{path}?unheard_of=1"), Some(json!({})))
            .await;

        answer.assert_error(400, "INVALID_REQUEST");
        answer.assert_details("unheard_of is");
    }

    admin.get("/v1/users/me").await.data();
}

#[tokio::test]
async fn names_the_parameter_that_was_meant() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let replay = "/v1/events/dead-letters/replay?dry_run=true";
    let body = json!({"filter": {"class": "rejected"}});

    for (answer, meant) in [
        (
            user.get("/v1/transactions?strat_date=2026-01-01").await,
            "did you mean start_date?",
        ),
        (
            user.get("/v1/orders?start_date=2026-01-01").await,
            "it has trading_id, ",
        ),
        (user.post(replay, body).await, "as a field of the body"),
    ] {
        answer.assert_error(400, "INVALID_REQUEST");
        answer.assert_details(meant);
    }

    let twice = user.get("/v1/transactions?limit=1&limit=2").await;
    twice.assert_error(400, "INVALID_VALUE");
    twice.assert_details("limit is given 2 times");
}

#[tokio::test]
async fn a_caller_without_token_learns_nothing_about_parameters() {
    let world = World::start().await;

    let answer = world.anonymous("/v1/tradings?unheard_of=1").await;

    answer.assert_error(401, "AUTH_REQUIRED");
}

async fn deposit(user: &User<'_>, account: &str) -> Answer {
    let path = format!("/v1/sub-accounts/{account}/deposit");
    let headers = [
        ("content-type", "application/json"),
        ("idempotency-key", "once"),
    ];
    let body = json!({"amount": "1"}).to_string();
    user.send_with(Method::POST, &path, &headers, Some(body))
        .await
}

#[tokio::test]
async fn an_idempotency_key_counts_for_every_spelling_of_a_path() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = user.book("grid", "0", "10").await;
    let id = book.stock.as_str();
    deposit(&user, id).await.data();

    let encoded = deposit(&user, &format!("%{:02x}{}", id.as_bytes()[0], &id[1..])).await;
    assert_eq!(encoded.header("idempotency-replayed"), "true", "{encoded}");

    for other in other_spellings(id) {
        assert_misspelled(&deposit(&user, &other).await, "id must be", id);
    }
    assert_eq!(user.balance(id).await, "1");
}

#[tokio::test]
async fn a_key_stored_under_its_path_keeps_working() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = user.book("grid", "0", "10").await;
    let first = deposit(&user, &book.stock).await;

    let path: String = sqlx::query_scalar("SELECT path FROM idempotency_keys")
        .fetch_one(world.pool())
        .await
        .expect("a key");

    assert_eq!(path, format!("/v1/sub-accounts/{}/deposit", book.stock));
    let again = deposit(&user, &book.stock).await;
    assert_eq!(again.data(), first.data());
}

#[tokio::test]
async fn other_spellings_of_an_id_are_rejected_in_queries_and_bodies() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = user.book("grid", "0", "10").await;
    let id = book.trading.as_str();

    for other in other_spellings(id) {
        let listed = user.get(&format!("/v1/orders?trading_id={other}")).await;
        assert_misspelled(&listed, "trading_id must be", id);

        let other = other.replace("%7B", "{").replace("%7D", "}");
        let body = json!({"trading_id": other, "name": "x", "symbol": "ETH"});
        let created = user.post("/v1/sub-accounts", body).await;
        assert_misspelled(&created, "trading_id must be", id);
    }
}

#[tokio::test]
async fn a_filter_takes_dates_and_explains_times() {
    let world = World::start().await;
    let user = world.user("ann").await;
    user.book("grid", "1", "10").await;
    let list = |query: &str| format!("/v1/transactions?{query}");
    let today = chrono::Utc::now().date_naive();
    let tomorrow = today.succ_opt().expect("a day");

    let within = user
        .get(&list(&format!("start_date={today}&end_date={tomorrow}")))
        .await;
    let before = user.get(&list(&format!("end_date={today}"))).await;
    let plus = user
        .get(&list("start_date=2026-01-01T00:00:00+01:00"))
        .await;
    let turned = user
        .get(&list("start_date=2026-01-02&end_date=2026-01-01"))
        .await;

    assert_eq!(within.list("transactions").len(), 2);
    assert_eq!(before.list("transactions").len(), 0);
    plus.assert_error(400, "INVALID_VALUE");
    plus.assert_details("write + as %2B");
    turned.assert_error(400, "INVALID_VALUE");
    turned.assert_details("start_date must not be after end_date");
}
