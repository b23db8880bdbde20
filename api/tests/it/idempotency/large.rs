//! Large responses, of which only a part is stored.

use super::{Keyed, amount, assert_replayed, is_replayed};
use crate::world::book::Book;
use crate::world::{Answer, User, World};
use reqwest::Method;
use serde_json::{Value, json};

/// A stored body at most, in bytes.
const BODY_BYTES_MAX: i64 = 32 * 1024;
/// Requests of each kind whose rows are measured.
const REQUESTS: i64 = 10;
/// What a key may take besides its body, in bytes.
const KEY_BYTES_MAX: i64 = 512;
/// What a row of the audit trail may take, in bytes.
const AUDIT_BYTES_MAX: i64 = 1_024;

/// Returns free JSON of the largest size.
fn largest(letter: &str) -> Value {
    json!({"x": letter.repeat(16_300)})
}

/// Returns a deposit with the largest free JSON and message, whose characters take six bytes each as JSON.
fn largest_deposit() -> Value {
    json!({"amount": "1", "info": largest("d"), "message": "\u{1}".repeat(4_096)})
}

/// Gives the sub-accounts of a book the largest free JSON.
async fn fill(user: &User<'_>, book: &Book) {
    for account in [&book.stock, &book.currency] {
        let path = format!("/v1/sub-accounts/{account}");
        user.put(&path, json!({"info": largest("a")})).await.data();
    }
}

async fn largest_body(world: &World) -> i64 {
    world
        .scalar("SELECT max(octet_length(body))::bigint FROM idempotency_keys")
        .await
}

#[tokio::test]
async fn a_large_response_to_a_post_is_made_again() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = user.book("grid", "0", "10").await;
    fill(&user, &book).await;
    let keyed = Keyed::new(&user, "k");
    let deposit = largest_deposit().to_string();
    let mut trade = book.trade("long");
    trade["info"]["note"] = "n".repeat(15_000).into();
    trade["message"] = "\u{1}".repeat(4_096).into();
    let withdrawal = format!("/v1/sub-accounts/{}/withdraw", book.currency);

    for (path, body) in [
        (format!("/v1/sub-accounts/{}/deposit", book.stock), &deposit),
        ("/v1/trading-logs".to_owned(), &trade.to_string()),
    ] {
        let first = keyed.post(&path, body).await;
        assert!(first.text.len() > 48 * 1024, "{}", first.text.len());
        user.post(&withdrawal, json!({"amount": "1"})).await.data();
        let before = balances(&user, &book).await;

        assert_replayed(&first, &keyed.post(&path, body).await);
        assert_eq!(balances(&user, &book).await, before, "it takes effect once");
    }

    assert!(largest_body(&world).await <= BODY_BYTES_MAX);
}

async fn balances(user: &User<'_>, book: &Book) -> [String; 2] {
    [
        user.balance(&book.stock).await,
        user.balance(&book.currency).await,
    ]
}

#[tokio::test]
async fn a_response_made_again_has_the_present_info_and_the_old_balance() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = user.book("grid", "0", "10").await;
    fill(&user, &book).await;
    let keyed = Keyed::new(&user, "k");
    let path = format!("/v1/sub-accounts/{}/deposit", book.stock);
    let body = largest_deposit().to_string();
    keyed.post(&path, &body).await.data();
    user.deposit(&book.stock, "5").await.data();
    let account = format!("/v1/sub-accounts/{}", book.stock);
    user.put(&account, json!({"info": {"new": 1}})).await.data();

    let again = keyed.post(&path, &body).await;

    assert!(is_replayed(&again), "{again}");
    assert_eq!(again.data()["sub_account"]["balance"], "1");
    assert_eq!(again.data()["sub_account"]["info"], json!({"new": 1}));
    assert_eq!(again.data()["trading_log"]["info"], largest("d"));
    keyed
        .post(&path, &amount("1"))
        .await
        .assert_error(409, "IDEMPOTENCY_KEY_REUSED");
}

/// The number of keys, and the bytes of their rows with uncompressed bodies.
const KEYS: &str = "SELECT count(*) AS rows, coalesce(sum(pg_column_size(k.*) - coalesce(pg_column_size(body), 0) \
    + coalesce(octet_length(body), 0)), 0)::bigint AS bytes FROM idempotency_keys k";
/// The number of entries of the audit trail, and their bytes.
const AUDIT: &str = "SELECT count(*) AS rows, coalesce(sum(pg_column_size(a.*)), 0)::bigint AS bytes FROM audit_logs a";

/// The growth of a table.
#[derive(Debug, sqlx::FromRow)]
struct Size {
    rows: i64,
    bytes: i64,
}

async fn size(world: &World, statement: &'static str) -> Size {
    sqlx::query_as(statement)
        .fetch_one(world.pool())
        .await
        .expect("a size")
}

/// Sends a request with its own key and the longest origin.
async fn send(user: &User<'_>, (method, path, body): &(Method, String, Value), at: i64) -> Answer {
    let key = format!("{at:0>128}");
    let agent = "a".repeat(4_096);
    let headers = [
        ("content-type", "application/json"),
        ("idempotency-key", key.as_str()),
        ("user-agent", agent.as_str()),
    ];
    let mut body = body.clone();
    if *method == Method::PUT {
        // Each update changes something.
        body["info"]["at"] = at.into();
    }
    user.send_with(method.clone(), path, &headers, Some(body.to_string()))
        .await
}

#[tokio::test]
async fn a_request_adds_little_to_keys_and_audit_trail() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = user.book("grid", "0", "0").await;
    fill(&user, &book).await;
    let info = json!({"x": "x".repeat(16_200)});
    let put = |path: &str, body: Value| (Method::PUT, path.to_owned(), body);
    let account = format!("/v1/sub-accounts/{}", book.stock);
    let trading = format!("/v1/tradings/{}", book.trading);
    let deposit = (
        Method::POST,
        format!("{account}/deposit"),
        largest_deposit(),
    );

    for request in [
        put("/v1/users/me", json!({"settings": info, "info": info})),
        put(&account, json!({"info": info})),
        put(&trading, json!({"info": info})),
        deposit,
    ] {
        let keys = size(&world, KEYS).await;
        let audit = size(&world, AUDIT).await;

        for at in 0..REQUESTS {
            send(&user, &request, at).await.data();
        }

        let more_keys = size(&world, KEYS).await;
        let more_audit = size(&world, AUDIT).await;
        let path = &request.1;
        assert_eq!(more_keys.rows - keys.rows, REQUESTS, "{path}");
        assert_eq!(more_audit.rows - audit.rows, REQUESTS, "{path}");
        let of_key = (more_keys.bytes - keys.bytes) / REQUESTS;
        assert!(of_key <= BODY_BYTES_MAX + KEY_BYTES_MAX, "{path}: {of_key}");
        let of_audit = (more_audit.bytes - audit.bytes) / REQUESTS;
        assert!(of_audit <= AUDIT_BYTES_MAX, "{path}: {of_audit}");
    }
}

#[tokio::test]
async fn an_equal_update_adds_only_its_key() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let body = json!({"full_name": "Ann", "info": {"at": 0}});
    user.put("/v1/users/me", body.clone()).await.data();
    let audit = size(&world, AUDIT).await;
    let body = body.to_string();

    for key in 1..=REQUESTS {
        let at = key.to_string();
        let headers = [
            ("content-type", "application/json"),
            ("idempotency-key", at.as_str()),
        ];
        let body = Some(body.clone());
        let answer = user.send_with(Method::PUT, "/v1/users/me", &headers, body);
        answer.await.data();
    }

    let keys = size(&world, KEYS).await;
    assert_eq!(keys.rows, REQUESTS);
    assert!(keys.bytes <= REQUESTS * KEY_BYTES_MAX, "{keys:?}");
    assert_eq!(size(&world, AUDIT).await.bytes, audit.bytes);
}
