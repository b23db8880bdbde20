//! Credentials are verified at their exchange.

use super::{LIST, audited, made, new_binding};
use crate::exchanges::{Exchanges, KEY, SECRET};
use crate::world::World;
use anyhow::ensure;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tiris_testing::eventually;
use tokio::sync::Semaphore;

/// A world with exchanges, which verify changes at once or only when a test says so.
async fn world(verifies_changes: bool) -> (World, Exchanges) {
    let exchanges = Exchanges::start().await;
    let settings = exchanges.settings(verifies_changes);
    let world = World::start_with(|all| all.exchanges = settings).await;
    (world, exchanges)
}

#[tokio::test]
async fn a_verification_is_signed_and_its_verdict_is_kept() {
    let (world, _exchanges) = world(false).await;
    let user = world.user("ann").await;

    for (exchange, refusal) in [
        ("binance", "-1022"),
        ("kraken", "EAPI:Invalid signature"),
        ("gate", "INVALID_SIGNATURE"),
    ] {
        let path = made(&user, exchange, exchange).await;
        let verify = format!("{path}/verify");

        let valid = user.post_empty(&verify).await;
        assert_eq!(valid.data()["status"], "valid", "{valid}");
        let binding = &valid.data()["exchange_binding"];
        assert_eq!(binding["status"], "valid", "{valid}");
        assert!(binding["last_verified_at"].is_string(), "{valid}");

        let wrong = json!({"api_secret": "d3Jvbmc="});
        user.put(&path, wrong).await.data();
        let refused = user.post_empty(&verify).await;
        assert_eq!(refused.data()["status"], "refused");
        assert_eq!(refused.data()["exchange_binding"]["status"], "refused");
        refused.assert_contains(refusal);
    }
    assert_eq!(audited(&world, "exchange_binding.verify").await, 6);
}

#[tokio::test]
async fn some_exchanges_cannot_verify() {
    let (world, _exchanges) = world(false).await;
    let user = world.user("ann").await;

    for exchange in ["coinbase", "okx"] {
        let path = made(&user, exchange, exchange).await;
        let answer = user.post_empty(&format!("{path}/verify")).await;
        answer.assert_error(400, "INVALID_REQUEST");
        answer.assert_contains("cannot be verified");
    }
}

#[tokio::test]
async fn a_wrong_clock_is_corrected_once() {
    let (world, exchanges) = world(false).await;
    let user = world.user("ann").await;
    exchanges.set(|mood| mood.ahead_millis = -3_600_000);

    for (exchange, account, time) in [
        ("binance", "/api/v3/account", "/api/v3/time"),
        ("gate", "/api/v4/spot/accounts", "/api/v4/spot/time"),
    ] {
        let verify = format!("{}/verify", made(&user, exchange, exchange).await);

        let first = user.post_empty(&verify).await;
        assert_eq!(first.data()["status"], "valid");
        assert_eq!(exchanges.asked(), [account, time, account]);

        // The difference is remembered.
        let second = user.post_empty(&verify).await;
        assert_eq!(second.data()["status"], "valid");
        assert_eq!(exchanges.asked(), [account]);
    }
}

#[tokio::test]
async fn a_nonce_that_is_too_small_is_tried_once_more() {
    let (world, exchanges) = world(false).await;
    let user = world.user("ann").await;
    let verify = format!("{}/verify", made(&user, "kraken", "kraken").await);
    exchanges.set(|mood| mood.nonce = u64::MAX);

    let answer = user.post_empty(&verify).await;

    // It says nothing about the key.
    answer.assert_error(502, "EXCHANGE_ERROR");
    assert_eq!(exchanges.asked().len(), 2);
}

#[tokio::test]
async fn an_exchange_that_fails_is_called_again() {
    let (world, exchanges) = world(false).await;
    let user = world.user("ann").await;
    let path = made(&user, "main", "kraken").await;
    exchanges.set(|mood| mood.failures = vec![500, 503]);

    let verified = user.post_empty(&format!("{path}/verify")).await;

    assert_eq!(verified.data()["status"], "valid");
    assert_eq!(exchanges.asked().len(), 3);
}

#[tokio::test]
async fn an_exchange_that_keeps_failing_leaves_a_binding_unverified() {
    let (world, exchanges) = world(false).await;
    let user = world.user("ann").await;
    let path = made(&user, "main", "kraken").await;
    let verify = format!("{path}/verify");

    let valid = user.post_empty(&verify).await;
    assert_eq!(valid.data()["status"], "valid");
    exchanges.asked();

    // Redirects are not followed, and a rate limit is not retried.
    for (failures, calls) in [(vec![500, 502, 504], 3), (vec![302], 1), (vec![429], 1)] {
        exchanges.set(|mood| mood.failures = failures);
        let answer = user.post_empty(&verify).await;
        answer.assert_error(502, "EXCHANGE_ERROR");
        assert_eq!(exchanges.asked().len(), calls);
        assert_eq!(user.get(&path).await.data()["status"], "unverified");
    }

    exchanges.set(|mood| mood.talkative = true);
    let too_long = user.post_empty(&verify).await;
    too_long.assert_error(502, "EXCHANGE_ERROR");

    exchanges.set(|mood| {
        mood.talkative = false;
        mood.silent = true;
    });
    let too_late = user.post_empty(&verify).await;
    too_late.assert_error(504, "UPSTREAM_TIMEOUT");
}

#[tokio::test]
async fn a_verdict_is_never_kept_for_other_credentials() {
    let (world, exchanges) = world(false).await;
    let user = world.user("ann").await;
    let path = made(&user, "main", "gate").await;
    let verify = format!("{path}/verify");
    let gate = Arc::new(Semaphore::new(0));
    exchanges.set(|mood| mood.gate = Some(Arc::clone(&gate)));
    let change = async {
        eventually("a call", Duration::from_secs(3), async || {
            let mood = exchanges.mood.lock().expect("unpoisoned");
            ensure!(!mood.asked.is_empty(), "not yet");
            Ok(())
        })
        .await
        .expect("a call");
        let wrong = json!({"api_secret": "d3Jvbmc="});
        user.put(&path, wrong).await.data();
        gate.add_permits(1);
    };

    let (answer, ()) = tokio::join!(user.post_empty(&verify), change);

    // The new credentials are verified as well.
    assert_eq!(answer.data()["status"], "refused", "{answer}");
    assert_eq!(exchanges.asked().len(), 2);
    assert_eq!(user.get(&path).await.data()["status"], "refused");
}

#[tokio::test]
async fn new_credentials_are_verified_at_once_where_configured() {
    let (world, exchanges) = world(true).await;
    let user = world.user("ann").await;

    let created = user.post(LIST, new_binding("main", "gate", KEY)).await;
    assert_eq!(created.data()["status"], "valid");
    let path = format!("{LIST}/{}", created.id());

    let changed = user.put(&path, json!({"api_key": "unknown"})).await;
    assert_eq!(changed.data()["status"], "refused");

    // A change is made also when the exchange fails.
    exchanges.set(|mood| mood.failures = vec![500, 500, 500]);
    let changed = user.put(&path, json!({"api_key": KEY})).await;
    assert_eq!(changed.data()["status"], "unverified");
    let renamed = user.put(&path, json!({"name": "renamed"})).await;
    assert_eq!(renamed.data()["status"], "unverified");
}

#[tokio::test]
async fn other_ways_to_give_credentials_verify_them_too() {
    let (world, _exchanges) = world(true).await;
    let user = world.user("ann").await;

    // An exchange that cannot verify.
    user.post(LIST, new_binding("okx", "okx", KEY)).await.data();
    let trading = json!({"name": "t", "type": "kraken", "api_key": KEY, "api_secret": SECRET});
    let trading = user.post("/v1/tradings", trading).await;

    assert_eq!(trading.data()["exchange_binding"]["status"], "valid");
}
