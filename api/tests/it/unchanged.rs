//! Updates of equal content write nothing, and large responses are not stored.

use crate::world::{Answer, User, World};
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

/// Updates of equal content to each resource.
const REPEATS: usize = 100;

/// Counts all rows that an update could add, and sums up the versions of those that it could change.
const STATE: &str = "SELECT concat_ws(' ', \
    (SELECT count(*) FROM audit_logs), (SELECT count(*) FROM idempotency_keys), \
    (SELECT string_agg(xmin::text || updated_at, ',' ORDER BY id) FROM users), \
    (SELECT string_agg(xmin::text || updated_at, ',' ORDER BY id) FROM tradings), \
    (SELECT string_agg(xmin::text || updated_at, ',' ORDER BY id) FROM sub_accounts), \
    (SELECT string_agg(xmin::text || updated_at, ',' ORDER BY id) FROM exchange_bindings))";

async fn state(world: &World) -> String {
    sqlx::query_scalar(STATE)
        .fetch_one(world.pool())
        .await
        .expect("a state")
}

async fn put_with(user: &User<'_>, path: &str, key: &str, body: &Value) -> Answer {
    let headers = [
        ("content-type", "application/json"),
        ("idempotency-key", key),
    ];
    user.send_with(Method::PUT, path, &headers, Some(body.to_string()))
        .await
}

#[tokio::test]
async fn an_update_of_equal_content_writes_nothing() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = user.book("grid", "0", "10").await;
    let binding = json!({"name": "b", "exchange_type": "virtual"});
    let binding = user.post("/v1/exchange-bindings", binding).await.id();
    let info = json!({"b": 1.50, "a": {"x": [1, null, "é"]}});
    let updates = [
        (
            "/v1/users/me".to_owned(),
            json!({"full_name": "Ann", "info": info, "avatar": ""}),
        ),
        (
            format!("/v1/tradings/{}", book.trading),
            json!({"name": "g", "status": "paused", "info": info}),
        ),
        (
            format!("/v1/sub-accounts/{}", book.stock),
            json!({"name": "s", "info": info}),
        ),
        (
            format!("/v1/exchange-bindings/{binding}"),
            json!({"name": "b", "info": info}),
        ),
    ];
    let mut first = Vec::new();
    for (path, body) in &updates {
        first.push(user.put(path, body.clone()).await.data().clone());
    }
    let before = state(&world).await;

    for ((path, body), first) in updates.iter().zip(&first) {
        let repeated = join_all((0..REPEATS).map(|_| user.put(path, body.clone()))).await;
        assert!(
            repeated.iter().all(|answer| answer.data() == first),
            "{path}"
        );
    }
    assert_eq!(state(&world).await, before);

    user.put("/v1/users/me", json!({"info": {"b": 1.5, "a": 0}}))
        .await
        .data();
    assert_ne!(state(&world).await, before, "another content is stored");
}

#[tokio::test]
async fn a_repeated_equal_update_does_not_undo_a_later_one() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let path = "/v1/users/me";
    let equal = json!({"full_name": "one"});
    user.put(path, equal.clone()).await.data();
    put_with(&user, path, "equal", &equal).await.data();
    user.put(path, json!({"full_name": "two"})).await.data();

    let repeated = put_with(&user, path, "equal", &equal).await;

    assert_eq!(repeated.header("idempotency-replayed"), "true");
    assert_eq!(repeated.data()["full_name"], "two", "it is read again");
    assert_eq!(user.get(path).await.data()["full_name"], "two");
}

#[tokio::test]
async fn a_large_response_is_read_again_instead_of_stored() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let large = json!({"x": "x".repeat(16_300)});
    let body = json!({"settings": large, "info": large});

    let first = put_with(&user, "/v1/users/me", "large", &body).await;
    let again = put_with(&user, "/v1/users/me", "large", &body).await;

    assert!(first.text.len() > 32 * 1024);
    assert_eq!(again.data(), first.data());
    assert_eq!(again.header("idempotency-replayed"), "true");
    let stored: Option<i64> =
        sqlx::query_scalar("SELECT max(octet_length(body))::bigint FROM idempotency_keys")
            .fetch_one(world.pool())
            .await
            .expect("a size");
    assert_eq!(stored, None);
}
