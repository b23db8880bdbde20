//! Conditional changes: a change that names a version applies to that version only.

use crate::openapi::operations;
use crate::world::{Answer, User, World};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;

const ME: &str = "/v1/users/me";

async fn put(user: &User<'_>, path: &str, tag: &str, body: &Value) -> Answer {
    let headers = [("content-type", "application/json"), ("if-match", tag)];
    let body = Some(body.to_string());
    user.send_with(Method::PUT, path, &headers, body).await
}

async fn tag(user: &User<'_>, path: &str) -> String {
    user.get(path).await.header("etag").to_owned()
}

#[tokio::test]
async fn rejects_a_change_of_an_old_version() {
    let world = World::start().await;
    let user = world.user("ann").await;

    let seen = tag(&user, ME).await;
    let change = |name: &str| json!({"full_name": name});
    put(&user, ME, &seen, &change("one")).await.data();
    let stale = put(&user, ME, &seen, &change("two")).await;

    stale.assert_error(412, "STALE_VERSION");
    assert_eq!(
        user.get(ME).await.data()["full_name"],
        "one",
        "nothing was changed"
    );

    let current = tag(&user, ME).await;

    for weak in ["\"\"".to_owned(), format!("{seen}, \"x\"")] {
        put(&user, ME, &weak, &change("two"))
            .await
            .assert_error(412, "STALE_VERSION");
    }

    for malformed in ["x", "", &current.replace('"', ""), "*x"] {
        let answer = put(&user, ME, malformed, &change("two")).await;
        answer.assert_error(400, "INVALID_VALUE");
        answer.assert_contains("If-Match");
    }

    put(&user, ME, &format!("{seen}, {current}"), &change("two"))
        .await
        .data();
    assert_eq!(
        put(&user, ME, "*", &change("three")).await.data()["full_name"],
        "three"
    );
}

#[tokio::test]
async fn only_one_of_two_concurrent_changes_succeeds() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let seen = tag(&user, ME).await;
    let query = "SELECT FROM users WHERE id = $1 FOR UPDATE";
    let holder = world.lock(query, user.id.0).await;
    let release = async {
        world.locks_are_waited_for(2).await;
        holder.rollback().await.expect("released");
    };

    let one = json!({"full_name": "one"});
    let two = json!({"full_name": "two"});
    let (one, two, ()) = tokio::join!(
        put(&user, ME, &seen, &one),
        put(&user, ME, &seen, &two),
        release
    );

    let is_first = one.status.is_success();
    let (won, lost) = if is_first { (one, two) } else { (two, one) };
    lost.assert_error(412, "STALE_VERSION");
    assert_eq!(user.get(ME).await.data(), won.data());
}

#[tokio::test]
async fn admins_change_only_the_version_they_read() {
    let world = World::start().await;
    let root = world.admin("root").await;
    let user = world.user("ann").await;
    let path = format!("/v1/users/{}", user.id);

    let seen = tag(&root, &path).await;
    user.put(ME, json!({"full_name": "Ann"})).await.data();

    for what in ["disable", "enable"] {
        let stale = put(&root, &format!("{path}/{what}"), &seen, &json!({})).await;
        stale.assert_error(412, "STALE_VERSION");
    }

    assert_eq!(user.get(ME).await.data()["status"], "active");

    for (what, status) in [("disable", "disabled"), ("enable", "active")] {
        let fresh = tag(&root, &path).await;
        let answer = put(&root, &format!("{path}/{what}"), &fresh, &json!({})).await;
        assert_eq!(answer.data()["status"], status);
    }
}

#[tokio::test]
async fn tradings_and_sub_accounts_check_the_version() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = user.book("grid", "0", "1").await;

    for path in [
        format!("/v1/tradings/{}", book.trading),
        format!("/v1/sub-accounts/{}", book.stock),
    ] {
        let seen = tag(&user, &path).await;
        put(&user, &path, &seen, &json!({"name": "one"}))
            .await
            .data();
        let stale = put(&user, &path, &seen, &json!({"name": "two"})).await;

        stale.assert_error(412, "STALE_VERSION");

        let current = tag(&user, &path).await;
        assert_eq!(
            put(&user, &path, &current, &json!({"name": "two"}))
                .await
                .data()["name"],
            "two"
        );
    }
    // A booking creates another version.
    let path = format!("/v1/sub-accounts/{}", book.stock);

    let seen = tag(&user, &path).await;
    user.post(&format!("{path}/deposit"), json!({"amount": "1"}))
        .await
        .data();

    put(&user, &path, &seen, &json!({"name": "three"}))
        .await
        .assert_error(412, "STALE_VERSION");
}

#[tokio::test]
async fn a_repeated_change_is_not_stale_by_itself() {
    let world = World::start().await;
    let user = world.user("ann").await;

    let seen = tag(&user, ME).await;
    let bearer = format!("Bearer {}", user.token);
    let headers = [
        ("authorization", bearer.as_str()),
        ("content-type", "application/json"),
        ("if-match", seen.as_str()),
        ("idempotency-key", "k"),
    ];

    let body = json!({"full_name": "Ann"}).to_string();

    let first = world
        .ask(Method::PUT, ME, &headers, Some(body.clone()))
        .await;
    let again = world.ask(Method::PUT, ME, &headers, Some(body)).await;

    assert_eq!(first.data(), again.data());
    assert_eq!(again.header("idempotency-replayed"), "true");
}

/// The response with a binding must not be cached, so it has no ETag.
#[test]
fn every_change_of_a_versioned_resource_documents_staleness() {
    let mut without = BTreeSet::new();
    for (method, path, operation) in operations() {
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        let header = parameters
            .clone()
            .find(|parameter| parameter["name"] == "If-Match");
        let documented = operation["responses"]["412"]["description"].as_str();

        assert_eq!(
            header.is_some(),
            documented.is_some_and(|text| text.contains("`STALE_VERSION`")),
            "{method} {path}"
        );

        if let Some(header) = header {
            assert_eq!(method.as_str(), "PUT");
            assert_eq!(header["in"], "header");
            assert_eq!(header["required"], false);
        } else if method == "PUT" {
            without.insert(path);
        }
    }

    assert_eq!(
        without,
        BTreeSet::from(["/v1/exchange-bindings/{id}".to_owned()])
    );
}
