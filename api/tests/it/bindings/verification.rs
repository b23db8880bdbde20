//! Verification of credentials at their exchange.

use super::{LIST, audited, create_binding, new_binding};
use crate::exchanges::{Exchanges, KEY, SECRET};
use crate::world::World;
use anyhow::ensure;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tiris_testing::eventually;
use tokio::sync::Semaphore;

/// Starts a world with exchanges that verifies changed credentials at once or only on request.
async fn world(verifies_changes: bool) -> (World, Exchanges) {
    let exchanges = Exchanges::start().await;
    let settings = exchanges.settings(verifies_changes);
    let world = World::start_with(|all| all.exchanges = settings).await;
    (world, exchanges)
}

#[tokio::test]
async fn signs_a_verification_and_stores_its_verdict() {
    let (world, _exchanges) = world(false).await;
    let user = world.user("ann").await;

    for (exchange, refusal) in [
        ("binance", "-1022"),
        ("kraken", "EAPI:Invalid signature"),
        ("gate", "INVALID_SIGNATURE"),
    ] {
        let path = create_binding(&user, exchange, exchange).await;
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
        let path = create_binding(&user, exchange, exchange).await;
        let answer = user.post_empty(&format!("{path}/verify")).await;
        answer.assert_error(400, "INVALID_REQUEST");
        answer.assert_contains("cannot be verified");
    }
}

#[tokio::test]
async fn corrects_a_wrong_clock_once() {
    let (world, exchanges) = world(false).await;
    let user = world.user("ann").await;
    exchanges.set(|behaviour| behaviour.ahead_millis = -3_600_000);

    for (exchange, account, time) in [
        ("binance", "/api/v3/account", "/api/v3/time"),
        ("gate", "/api/v4/spot/accounts", "/api/v4/spot/time"),
    ] {
        let verify = format!("{}/verify", create_binding(&user, exchange, exchange).await);

        let first = user.post_empty(&verify).await;
        assert_eq!(first.data()["status"], "valid");
        assert_eq!(exchanges.calls(), [account, time, account]);

        // The difference is remembered.
        let second = user.post_empty(&verify).await;
        assert_eq!(second.data()["status"], "valid");
        assert_eq!(exchanges.calls(), [account]);
    }
}

#[tokio::test]
async fn retries_a_nonce_that_is_too_small_once() {
    let (world, exchanges) = world(false).await;
    let user = world.user("ann").await;
    let verify = format!("{}/verify", create_binding(&user, "kraken", "kraken").await);
    exchanges.set(|behaviour| behaviour.nonce = u64::MAX);

    let answer = user.post_empty(&verify).await;

    // The error does not concern the key.
    answer.assert_error(502, "EXCHANGE_ERROR");
    assert_eq!(exchanges.calls().len(), 2);
}

#[tokio::test]
async fn retries_a_failing_exchange() {
    let (world, exchanges) = world(false).await;
    let user = world.user("ann").await;
    let path = create_binding(&user, "main", "kraken").await;
    exchanges.set(|behaviour| behaviour.failures = vec![500, 503]);

    let verified = user.post_empty(&format!("{path}/verify")).await;

    assert_eq!(verified.data()["status"], "valid");
    assert_eq!(exchanges.calls().len(), 3);
}

#[tokio::test]
async fn a_binding_stays_unverified_while_its_exchange_fails() {
    let (world, exchanges) = world(false).await;
    let user = world.user("ann").await;
    let path = create_binding(&user, "main", "kraken").await;
    let verify = format!("{path}/verify");

    let valid = user.post_empty(&verify).await;
    assert_eq!(valid.data()["status"], "valid");
    exchanges.calls();

    // Redirects are not followed, and a rate limit is not retried.
    for (failures, calls) in [(vec![500, 502, 504], 3), (vec![302], 1), (vec![429], 1)] {
        exchanges.set(|behaviour| behaviour.failures = failures);
        let answer = user.post_empty(&verify).await;
        answer.assert_error(502, "EXCHANGE_ERROR");
        assert_eq!(exchanges.calls().len(), calls);
        assert_eq!(user.get(&path).await.data()["status"], "unverified");
    }

    exchanges.set(|behaviour| behaviour.endless = true);
    let too_long = user.post_empty(&verify).await;
    too_long.assert_error(502, "EXCHANGE_ERROR");

    exchanges.set(|behaviour| {
        behaviour.endless = false;
        behaviour.silent = true;
    });
    let too_late = user.post_empty(&verify).await;
    too_late.assert_error(504, "UPSTREAM_TIMEOUT");
}

#[tokio::test]
async fn a_verdict_is_not_stored_for_other_credentials() {
    let (world, exchanges) = world(false).await;
    let user = world.user("ann").await;
    let path = create_binding(&user, "main", "gate").await;
    let verify = format!("{path}/verify");
    let gate = Arc::new(Semaphore::new(0));
    exchanges.set(|behaviour| behaviour.gate = Some(Arc::clone(&gate)));
    let change = async {
        eventually("a request", Duration::from_secs(3), async || {
            let behaviour = exchanges.behaviour.lock().expect("unpoisoned");
            ensure!(!behaviour.calls.is_empty(), "not yet");
            Ok(())
        })
        .await
        .expect("a request");
        let wrong = json!({"api_secret": "d3Jvbmc="});
        user.put(&path, wrong).await.data();
        gate.add_permits(1);
    };

    let (answer, ()) = tokio::join!(user.post_empty(&verify), change);

    // The new credentials are verified, too.
    assert_eq!(answer.data()["status"], "refused", "{answer}");
    assert_eq!(exchanges.calls().len(), 2);
    assert_eq!(user.get(&path).await.data()["status"], "refused");
}

#[tokio::test]
async fn verifies_new_credentials_at_once_where_configured() {
    let (world, exchanges) = world(true).await;
    let user = world.user("ann").await;

    let created = user.post(LIST, new_binding("main", "gate", KEY)).await;
    assert_eq!(created.data()["status"], "valid");
    let path = format!("{LIST}/{}", created.id());

    let changed = user.put(&path, json!({"api_key": "unknown"})).await;
    assert_eq!(changed.data()["status"], "refused");

    // The change is stored although the exchange fails.
    exchanges.set(|behaviour| behaviour.failures = vec![500, 500, 500]);
    let changed = user.put(&path, json!({"api_key": KEY})).await;
    assert_eq!(changed.data()["status"], "unverified");
    let renamed = user.put(&path, json!({"name": "renamed"})).await;
    assert_eq!(renamed.data()["status"], "unverified");
}

#[tokio::test]
async fn verifies_the_credentials_of_a_new_trading() {
    let (world, _exchanges) = world(true).await;
    let user = world.user("ann").await;

    // This exchange cannot verify credentials.
    user.post(LIST, new_binding("okx", "okx", KEY)).await.data();
    let trading = json!({"name": "t", "type": "kraken", "api_key": KEY, "api_secret": SECRET});
    let trading = user.post("/v1/tradings", trading).await;

    assert_eq!(trading.data()["exchange_binding"]["status"], "valid");
}
