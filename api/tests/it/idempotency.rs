//! Idempotency keys: a request repeated under its key takes effect once.

pub(crate) mod cases;
mod large;
mod operations;
mod races;

use crate::bindings::new_binding;
use crate::exchanges::{Exchanges, KEY, SECRET};
use crate::world::{Answer, User, World};
use reqwest::Method;
use serde_json::json;
use sha2::{Digest, Sha256};
use std::net::SocketAddr;

const BINDINGS: &str = "/v1/exchange-bindings";

/// A user's client that sends a key.
struct Keyed<'u> {
    user: &'u User<'u>,
    address: SocketAddr,
    key: &'static str,
}

impl<'u> Keyed<'u> {
    fn new(user: &'u User<'u>, key: &'static str) -> Self {
        Self {
            user,
            address: user.world.address,
            key,
        }
    }

    async fn send(&self, method: &Method, path: &str, body: &str) -> Answer {
        let bearer = format!("Bearer {}", self.user.token);
        let headers = [
            ("authorization", bearer.as_str()),
            ("content-type", "application/json"),
            ("idempotency-key", self.key),
        ];
        let body = Some(body.to_owned());
        let world = self.user.world;
        world
            .ask_at(self.address, method.clone(), path, &headers, body)
            .await
    }

    async fn post(&self, path: &str, body: &str) -> Answer {
        self.send(&Method::POST, path, body).await
    }

    async fn put(&self, path: &str, body: &str) -> Answer {
        self.send(&Method::PUT, path, body).await
    }
}

fn is_replayed(answer: &Answer) -> bool {
    answer.header("idempotency-replayed") == "true"
}

/// Asserts that the second response replays the first.
#[track_caller]
fn assert_replayed(first: &Answer, second: &Answer) {
    assert!(!is_replayed(first), "{first}");
    assert!(is_replayed(second), "{second}");
    assert_eq!(second.status, first.status);
    assert_eq!(second.data(), first.data());
}

/// Counts the stored keys, and those of them without a response.
async fn key_counts(world: &World) -> (i64, i64) {
    sqlx::query_as("SELECT count(*), count(*) FILTER (WHERE body IS NULL) FROM idempotency_keys")
        .fetch_one(world.pool())
        .await
        .expect("counts")
}

/// Returns the exact body of a deposit.
fn amount(amount: &str) -> String {
    format!(r#"{{"amount":"{amount}"}}"#)
}

#[tokio::test]
async fn a_repeated_request_takes_effect_once() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = user.book("grid", "0", "10").await;
    let path = format!("/v1/sub-accounts/{}/deposit", book.stock);
    let trade = book.trade("long").to_string();
    let keyed = Keyed::new(&user, "~ a key of ours !");

    let first = keyed.post(&path, &amount("1")).await;
    user.deposit(&book.stock, "5").await.data();
    assert_replayed(&first, &keyed.post(&path, &amount("1")).await);
    // The response is that of the first request.
    assert_eq!(first.data()["sub_account"]["balance"], "1");
    assert_eq!(user.balance(&book.stock).await, "6");

    let first = keyed.post("/v1/trading-logs", &trade).await;
    first.assert_status(201);
    assert_replayed(&first, &keyed.post("/v1/trading-logs", &trade).await);
    assert_eq!(user.balance(&book.stock).await, "8");
    assert_eq!(key_counts(&world).await, (2, 0));
}

#[tokio::test]
async fn rejects_another_body_under_the_same_key() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = user.book("grid", "0", "10").await;
    let path = format!("/v1/sub-accounts/{}/deposit", book.stock);
    let keyed = Keyed::new(&user, "k");
    keyed.post(&path, &amount("1")).await.data();

    for other in [&amount("2"), r#"{"amount": "1"}"#] {
        let answer = keyed.post(&path, other).await;
        answer.assert_error(409, "IDEMPOTENCY_KEY_REUSED");
    }

    assert_eq!(user.balance(&book.stock).await, "1");
}

#[tokio::test]
async fn a_rejected_request_may_be_repeated_under_its_key() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = user.book("grid", "1", "0").await;
    let path = format!("/v1/sub-accounts/{}/withdraw", book.stock);
    let keyed = Keyed::new(&user, "k");

    for (refused, status, code) in [
        ("x", 400, "INVALID_VALUE"),
        ("3", 422, "INSUFFICIENT_BALANCE"),
    ] {
        let answer = keyed.post(&path, &amount(refused)).await;
        answer.assert_error(status, code);
    }
    assert_eq!(key_counts(&world).await, (0, 0));

    user.deposit(&book.stock, "5").await.data();
    let done = keyed.post(&path, &amount("3")).await;
    assert_replayed(&done, &keyed.post(&path, &amount("3")).await);
    assert_eq!(user.balance(&book.stock).await, "3");
}

#[tokio::test]
async fn a_key_belongs_to_its_user_path_and_method() {
    let world = World::start().await;
    let ann = world.user("ann").await;
    let bob = world.user("bob").await;
    let book = ann.book("grid", "5", "5").await;
    let keyed = Keyed::new(&ann, "k");
    let paths =
        [&book.stock, &book.currency].map(|account| format!("/v1/sub-accounts/{account}/withdraw"));
    let trading = json!({"name": "new", "type": "paper"}).to_string();

    for path in &paths {
        let answer = keyed.post(path, &amount("1")).await;
        assert!(!is_replayed(&answer), "{answer}");
    }
    for user in [&ann, &bob] {
        let created = Keyed::new(user, "k").post("/v1/tradings", &trading).await;
        assert_eq!(created.data()["user_id"], json!(user.id));
        assert!(!is_replayed(&created), "{created}");
    }
    assert_eq!(ann.balance(&book.stock).await, "4");
    assert_eq!(ann.balance(&book.currency).await, "4");

    // No path has both POST and PUT, so the method is changed in the row.
    let as_put = "UPDATE idempotency_keys SET method = 'PUT' WHERE user_id = $1";
    world.run(as_put, ann.id.0).await;
    let answer = keyed.post(&paths[0], &amount("1")).await;
    assert!(!is_replayed(&answer), "{answer}");
}

#[tokio::test]
async fn a_key_expires_after_a_day() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = user.book("grid", "0", "0").await;
    let path = format!("/v1/sub-accounts/{}/deposit", book.stock);
    let keyed = Keyed::new(&user, "k");
    keyed.post(&path, &amount("1")).await.data();
    let lifetime =
        "SELECT (extract(epoch FROM expires_at - created_at) / 3600)::float8 FROM idempotency_keys";
    let hours: f64 = world.scalar(lifetime).await;
    assert_eq!(hours, 24.0);

    world
        .execute("UPDATE idempotency_keys SET expires_at = now()")
        .await;

    let new = keyed.post(&path, &amount("2")).await;
    assert_replayed(&new, &keyed.post(&path, &amount("2")).await);
    assert_eq!(user.balance(&book.stock).await, "3");
    assert_eq!(key_counts(&world).await, (1, 0));
}

#[tokio::test]
async fn stores_no_credentials_and_no_plain_hash_of_them() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let keyed = Keyed::new(&user, "k");
    let body = new_binding("main", "kraken", KEY).to_string();

    let created = keyed.post(BINDINGS, &body).await;
    assert_replayed(&created, &keyed.post(BINDINGS, &body).await);

    let row: String = world.scalar("SELECT k::text FROM idempotency_keys k").await;
    assert!(!row.contains(KEY) && !row.contains(SECRET), "{row}");
    // A reader of the table could try bodies against a plain hash.
    let hash: Vec<u8> = world.scalar("SELECT body_hmac FROM idempotency_keys").await;
    assert_ne!(hash, Sha256::digest(&body).to_vec());
}

#[tokio::test]
async fn deletes_the_responses_of_a_deleted_user() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let body = new_binding("main", "kraken", KEY).to_string();
    Keyed::new(&user, "k").post(BINDINGS, &body).await.data();

    user.delete("/v1/users/me").await.data();

    assert_eq!(key_counts(&world).await, (0, 0));
}

#[tokio::test]
async fn a_replay_includes_the_verification_by_the_exchange() {
    let exchanges = Exchanges::start().await;
    let world = World::start_with(|settings| settings.exchanges = exchanges.settings(true)).await;
    let user = world.user("ann").await;
    let keyed = Keyed::new(&user, "k");
    let binding = new_binding("main", "gate", KEY).to_string();
    let change = json!({"api_key": "unknown"}).to_string();
    let trading =
        json!({"name": "t", "type": "kraken", "api_key": KEY, "api_secret": SECRET}).to_string();

    let created = keyed.post(BINDINGS, &binding).await;
    assert_eq!(created.data()["status"], "valid");
    assert_replayed(&created, &keyed.post(BINDINGS, &binding).await);

    let path = format!("{BINDINGS}/{}", created.id());
    let changed = keyed.put(&path, &change).await;
    assert_eq!(changed.data()["status"], "refused");
    assert_replayed(&changed, &keyed.put(&path, &change).await);

    let created = keyed.post("/v1/tradings", &trading).await;
    assert_eq!(created.data()["exchange_binding"]["status"], "valid");
    assert_replayed(&created, &keyed.post("/v1/tradings", &trading).await);

    assert_eq!(exchanges.calls().len(), 3);
}

#[tokio::test]
async fn a_failed_verification_may_be_repeated_under_its_key() {
    let exchanges = Exchanges::start().await;
    let world = World::start_with(|settings| settings.exchanges = exchanges.settings(true)).await;
    let user = world.user("ann").await;
    let keyed = Keyed::new(&user, "k");
    let unknown = new_binding("main", "gate", "unknown");
    let path = format!("{BINDINGS}/{}", user.post(BINDINGS, unknown).await.id());
    let verify = format!("{path}/verify");

    exchanges.set(|mood| mood.failures = vec![500; 3]);
    let failed = keyed.post(&verify, "").await;
    failed.assert_error(502, "EXCHANGE_ERROR");

    let verified = keyed.post(&verify, "").await;
    assert_eq!(verified.data()["status"], "refused");

    user.put(&path, json!({"api_key": KEY})).await.data();
    exchanges.calls();
    assert_replayed(&verified, &keyed.post(&verify, "").await);
    assert_eq!(exchanges.calls(), Vec::<String>::new());
}

#[tokio::test]
async fn a_key_may_have_128_characters() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let longest: &'static str = "~".repeat(128).leak();
    let trading = json!({"name": "grid", "type": "paper"}).to_string();

    let created = Keyed::new(&user, longest)
        .post("/v1/tradings", &trading)
        .await;

    created.data();
}
