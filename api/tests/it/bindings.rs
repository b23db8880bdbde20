//! Exchange bindings: who sees what of them, what is refused, and what the exchange says.

use crate::exchanges::{Exchanges, KEY, SECRET};
use crate::world::{PUBLIC_BINDING, User, World, text};
use anyhow::ensure;
use reqwest::Method;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tiris_testing::eventually;
use tokio::sync::Semaphore;

const LIST: &str = "/v1/exchange-bindings";

pub(crate) fn new_binding(name: &str, exchange: &str, key: &str) -> Value {
    json!({"name": name, "exchange_type": exchange, "api_key": key, "api_secret": SECRET})
}

async fn made(user: &User<'_>, name: &str, exchange: &str) -> String {
    let answer = user.post(LIST, new_binding(name, exchange, KEY)).await;
    format!("{LIST}/{}", text(&answer.data()["id"]))
}

async fn audited(world: &World, action: &str) -> i64 {
    sqlx::query_scalar(
        "SELECT count(*) FROM audit_logs WHERE action = $1 AND user_id IS NOT NULL AND trace_id IS NOT NULL",
    )
    .bind(action)
    .fetch_one(world.database.pool())
    .await
    .expect("a count")
}

#[tokio::test]
async fn only_the_owner_reads_the_credentials_and_every_time_is_kept() {
    let world = World::start().await;
    let (ann, bob, root) = (
        world.user("ann").await,
        world.user("bob").await,
        world.admin("root").await,
    );
    let mut new = new_binding("main", "okx", "abcd0123456789012345wxyz");
    new["passphrase"] = json!("Pass phräse");
    new["info"] = json!({"desk": 7});
    let created = ann.post(LIST, new).await;
    let data = created.data();
    assert_eq!(
        (created.status.as_u16(), &data["masked_api_key"]),
        (201, &json!("abcd****wxyz"))
    );
    assert_eq!(
        (&data["kind"], &data["status"]),
        (&json!("private"), &json!("unverified"))
    );
    assert!(
        !created.text.contains(SECRET) && data.get("api_key").is_none(),
        "{}",
        created.text
    );
    let path = format!("{LIST}/{}", text(&data["id"]));
    for time in 1..=2 {
        let revealed = ann.get(&path).await;
        let data = revealed.data();
        assert_eq!(
            (&data["api_key"], &data["api_secret"]),
            (&json!("abcd0123456789012345wxyz"), &json!(SECRET))
        );
        assert_eq!(
            (&data["passphrase"], &data["info"]),
            (&json!("Pass phräse"), &json!({"desk": 7}))
        );
        assert_eq!(
            (revealed.header("cache-control"), revealed.header("etag")),
            ("no-store", "")
        );
        assert_eq!(audited(&world, "exchange_binding.reveal").await, time);
    }
    for stranger in [&bob, &root] {
        assert_eq!(stranger.get(&path).await.refusal(), (404, "NOT_FOUND"));
    }
    let listed = ann.get(&format!("{LIST}?info=%7B%22desk%22%3A7%7D")).await;
    assert_eq!(
        listed.data()["exchange_bindings"].as_array().map(Vec::len),
        Some(1)
    );
    assert!(
        !listed.text.contains(SECRET) && !listed.text.contains("0123456789"),
        "{}",
        listed.text
    );
    assert_eq!(bob.get(LIST).await.data()["exchange_bindings"], json!([]));
    assert_eq!(
        audited(&world, "exchange_binding.reveal").await,
        2,
        "lists reveal nothing"
    );
}

#[tokio::test]
async fn what_is_wrong_with_a_binding_is_named_and_never_repeated() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let with = |field: &str, value: Value| {
        let mut new = new_binding("main", "kraken", KEY);
        new[field] = value;
        new
    };
    for (new, code, field) in [
        (with("name", Value::Null), "MISSING_FIELD", "name"),
        (
            with("name", json!("x".repeat(129))),
            "INVALID_VALUE",
            "name",
        ),
        (
            with("exchange_type", json!("mtgox")),
            "INVALID_VALUE",
            "exchange_type",
        ),
        (
            with("exchange_type", Value::Null),
            "MISSING_FIELD",
            "exchange_type",
        ),
        (with("api_key", Value::Null), "MISSING_FIELD", "api_key"),
        (with("api_key", json!("")), "INVALID_VALUE", "256"),
        (
            with("api_key", json!("s3cr3t".repeat(43))),
            "INVALID_VALUE",
            "256",
        ),
        (
            with("api_key", json!("s3cr3t with blanks")),
            "INVALID_VALUE",
            "api_key",
        ),
        (
            with("api_key", json!("s3cr****3t")),
            "INVALID_VALUE",
            "api_key",
        ),
        (
            with("api_key", json!(["s3cr3t"])),
            "INVALID_VALUE",
            "api_key",
        ),
        (
            with("api_secret", Value::Null),
            "MISSING_FIELD",
            "api_secret",
        ),
        (
            with("api_secret", json!({"s3cr3t": 1})),
            "INVALID_VALUE",
            "api_secret",
        ),
        (
            with("api_secret", json!("s3cr3t\u{7}")),
            "INVALID_VALUE",
            "api_secret",
        ),
        (
            with("api_secret", json!("s3cr3t".repeat(683))),
            "INVALID_VALUE",
            "4096",
        ),
        (
            with("passphrase", json!("s3cr3t".repeat(43))),
            "INVALID_VALUE",
            "256",
        ),
        (with("info", json!([])), "INVALID_INFO_STRUCTURE", "info"),
    ] {
        let answer = user.post(LIST, new).await;
        assert_eq!(answer.refusal(), (400, code), "{field}");
        assert!(answer.text.contains(field), "{}", answer.text);
        assert!(
            !answer.text.contains("s3cr3t") && !answer.text.contains(SECRET),
            "{}",
            answer.text
        );
    }
    user.post(
        LIST,
        json!({"name": "v", "exchange_type": "virtual", "unknown": 1}),
    )
    .await
    .data();
}

#[tokio::test]
async fn a_name_or_a_key_is_there_once_among_the_living() {
    let world = World::start().await;
    let (ann, bob) = (world.user("ann").await, world.user("bob").await);
    let path = made(&ann, "main", "kraken").await;
    let other = text(
        &ann.post(LIST, new_binding("other", "kraken", "another-key"))
            .await
            .data()["id"],
    );
    let other = format!("{LIST}/{other}");
    assert_eq!(
        ann.post(LIST, new_binding("main", "gate", "k"))
            .await
            .refusal(),
        (409, "BINDING_NAME_EXISTS")
    );
    let twice = ann.post(LIST, new_binding("third", "kraken", KEY)).await;
    assert_eq!(twice.refusal(), (409, "API_KEY_EXISTS"));
    assert!(!twice.text.contains(KEY), "{}", twice.text);
    assert_eq!(
        ann.put(&other, json!({"name": "main"})).await.refusal(),
        (409, "BINDING_NAME_EXISTS")
    );
    assert_eq!(
        ann.put(&other, json!({"api_key": KEY})).await.refusal(),
        (409, "API_KEY_EXISTS")
    );
    made(&ann, "the same key elsewhere", "gate").await;
    made(&bob, "main", "kraken").await;
    assert_eq!(
        ann.delete(&path).await.data()["message"],
        "The exchange binding is deleted."
    );
    for answer in [
        ann.get(&path).await,
        ann.put(&path, json!({})).await,
        ann.delete(&path).await,
    ] {
        assert_eq!(answer.refusal(), (404, "NOT_FOUND"));
    }
    made(&ann, "main", "kraken").await;
    let left: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM exchange_bindings WHERE status = 'deleted' AND \
         num_nonnulls(api_key_encrypted, api_secret_encrypted, passphrase_encrypted, fingerprint, masked_api_key) > 0",
    )
    .fetch_one(world.database.pool())
    .await
    .expect("a count");
    assert_eq!(left, 0, "deleted credentials are destroyed");
}

#[tokio::test]
async fn a_change_keeps_what_it_does_not_name() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let path = made(&user, "main", "kraken").await;
    let renamed = user
        .put(&path, json!({"name": "renamed", "info": {"a": 1}}))
        .await;
    assert_eq!(
        (&renamed.data()["name"], &renamed.data()["info"]),
        (&json!("renamed"), &json!({"a": 1}))
    );
    let changed = user
        .put(
            &path,
            json!({"api_secret": "YW5vdGhlcg==", "passphrase": "p", "exchange_type": "gate"}),
        )
        .await;
    assert_eq!(
        (&changed.data()["exchange_type"], &changed.data()["info"]),
        (&json!("gate"), &json!({"a": 1}))
    );
    let revealed = user.get(&path).await;
    let data = revealed.data();
    assert_eq!(
        (&data["api_key"], &data["api_secret"], &data["passphrase"]),
        (&json!(KEY), &json!("YW5vdGhlcg=="), &json!("p"))
    );
    for action in ["create", "update", "update", "reveal"] {
        assert!(
            audited(&world, &format!("exchange_binding.{action}")).await >= 1,
            "{action}"
        );
    }
}

#[tokio::test]
async fn a_binding_in_use_stays_until_its_trading_is_gone() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let path = made(&user, "main", "kraken").await;
    let id = path.rsplit('/').next().expect("an id");
    user.post(
        "/v1/tradings",
        json!({"name": "real", "type": "real", "exchange_binding_id": id}),
    )
    .await
    .data();
    assert_eq!(user.delete(&path).await.refusal(), (409, "BINDING_IN_USE"));
    sqlx::query("UPDATE tradings SET status = 'deleted'")
        .execute(world.database.pool())
        .await
        .expect("deleted");
    user.delete(&path).await.data();
    let again = json!({"name": "again", "type": "real", "exchange_binding_id": id});
    assert_eq!(
        user.post("/v1/tradings", again).await.refusal(),
        (404, "NOT_FOUND")
    );
}

#[tokio::test]
async fn a_public_binding_is_changed_by_admins_only_and_never_holds_credentials() {
    let world = World::start().await;
    let (user, root) = (world.user("ann").await, world.admin("root").await);
    let path = format!("{LIST}/{PUBLIC_BINDING}");
    let seen = user.get(&path).await;
    assert_eq!(
        (&seen.data()["kind"], &seen.data()["api_key"]),
        (&json!("public"), &Value::Null)
    );
    for answer in [
        user.put(&path, json!({"name": "mine"})).await,
        user.delete(&path).await,
    ] {
        assert_eq!(answer.refusal(), (403, "ACCESS_DENIED"));
    }
    assert_eq!(
        root.put(&path, json!({"name": "Binance spot"}))
            .await
            .data()["name"],
        "Binance spot"
    );
    assert_eq!(
        root.put(&path, json!({"api_key": "k"})).await.refusal(),
        (400, "INVALID_VALUE")
    );
    assert_eq!(
        user.send(Method::POST, &format!("{path}/verify"), None)
            .await
            .refusal(),
        (400, "INVALID_REQUEST")
    );
    assert_eq!(
        root.delete(&path).await.data()["message"],
        "The exchange binding is deleted."
    );
}

#[tokio::test]
async fn a_trading_made_from_credentials_comes_with_its_binding_or_not_at_all() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let trading = |name: &str, kind: &str| json!({"name": name, "type": kind, "api_key": KEY, "api_secret": SECRET});
    let created = user.post("/v1/tradings", trading("grid", "gate")).await;
    let data = created.data();
    assert_eq!(
        (&data["type"], &data["exchange_binding"]["exchange_type"]),
        (&json!("real"), &json!("gate"))
    );
    assert_eq!(data["exchange_binding"]["name"], "grid");
    assert!(
        !created.text.contains(KEY) && !created.text.contains(SECRET),
        "{}",
        created.text
    );
    let revealed = user
        .get(&format!("{LIST}/{}", text(&data["exchange_binding_id"])))
        .await;
    assert_eq!(revealed.data()["api_secret"], json!(SECRET));
    assert_eq!(
        user.post("/v1/tradings", trading("grid", "kraken"))
            .await
            .refusal(),
        (409, "BINDING_NAME_EXISTS")
    );
    assert_eq!(
        user.post("/v1/tradings", trading("other", "gate"))
            .await
            .refusal(),
        (409, "API_KEY_EXISTS")
    );
    user.post("/v1/tradings", json!({"name": "taken", "type": "virtual"}))
        .await
        .data();
    assert_eq!(
        user.post("/v1/tradings", trading("taken", "okx"))
            .await
            .refusal(),
        (409, "TRADING_NAME_EXISTS")
    );
    assert_eq!(
        user.get(LIST).await.data()["exchange_bindings"]
            .as_array()
            .map(Vec::len),
        Some(1),
        "all or nothing"
    );
    for kind in ["real", "paper"] {
        let mut wrong = trading("x", kind);
        wrong["exchange_binding_id"] = json!(PUBLIC_BINDING);
        assert_eq!(
            user.post("/v1/tradings", wrong).await.refusal(),
            (400, "INVALID_VALUE"),
            "{kind}"
        );
    }
    let mut both = trading("x", "kraken");
    both["exchange_binding_id"] = json!(PUBLIC_BINDING);
    assert_eq!(
        user.post("/v1/tradings", both).await.refusal(),
        (400, "INVALID_VALUE")
    );
    assert_eq!(
        user.post("/v1/tradings", json!({"name": "x", "type": "okx"}))
            .await
            .refusal(),
        (400, "MISSING_FIELD")
    );
}

#[tokio::test]
async fn an_exchange_is_asked_with_a_signature_it_accepts_and_its_answer_is_kept() {
    let exchanges = Exchanges::start().await;
    let world = World::start_with(|settings| settings.exchanges = exchanges.settings(false)).await;
    let user = world.user("ann").await;
    for (exchange, refusal) in [
        ("binance", "-1022"),
        ("kraken", "EAPI:Invalid signature"),
        ("gate", "INVALID_SIGNATURE"),
    ] {
        let path = made(&user, exchange, exchange).await;
        let verify = format!("{path}/verify");
        let valid = user.send(Method::POST, &verify, None).await;
        assert_eq!(valid.data()["status"], "valid", "{}", valid.text);
        let binding = &valid.data()["exchange_binding"];
        assert!(
            binding["status"] == "valid" && binding["last_verified_at"].is_string(),
            "{}",
            valid.text
        );
        user.put(&path, json!({"api_secret": "d3Jvbmc="}))
            .await
            .data();
        let refused = user.send(Method::POST, &verify, None).await;
        assert_eq!(
            (
                &refused.data()["status"],
                &refused.data()["exchange_binding"]["status"]
            ),
            (&json!("refused"), &json!("refused"))
        );
        assert!(refused.text.contains(refusal), "{}", refused.text);
    }
    for exchange in ["coinbase", "okx"] {
        let path = made(&user, exchange, exchange).await;
        let answer = user
            .send(Method::POST, &format!("{path}/verify"), None)
            .await;
        assert_eq!(answer.refusal(), (400, "INVALID_REQUEST"));
        assert!(
            answer.text.contains("cannot be verified"),
            "{}",
            answer.text
        );
    }
    assert_eq!(audited(&world, "exchange_binding.verify").await, 6);
}

#[tokio::test]
async fn a_clock_that_is_wrong_is_corrected_once() {
    let exchanges = Exchanges::start().await;
    let world = World::start_with(|settings| settings.exchanges = exchanges.settings(false)).await;
    let user = world.user("ann").await;
    exchanges.set(|mood| mood.ahead_millis = -3_600_000);
    for (exchange, calls) in [
        (
            "binance",
            ["/api/v3/account", "/api/v3/time", "/api/v3/account"],
        ),
        (
            "gate",
            [
                "/api/v4/spot/accounts",
                "/api/v4/spot/time",
                "/api/v4/spot/accounts",
            ],
        ),
    ] {
        let verify = format!("{}/verify", made(&user, exchange, exchange).await);
        assert_eq!(
            user.send(Method::POST, &verify, None).await.data()["status"],
            "valid"
        );
        assert_eq!(exchanges.asked(), calls);
        assert_eq!(
            user.send(Method::POST, &verify, None).await.data()["status"],
            "valid"
        );
        assert_eq!(
            exchanges.asked(),
            calls[..1],
            "the difference is remembered"
        );
    }
    let verify = format!("{}/verify", made(&user, "kraken", "kraken").await);
    exchanges.set(|mood| mood.nonce = u64::MAX);
    let answer = user.send(Method::POST, &verify, None).await;
    assert_eq!(
        answer.refusal(),
        (502, "EXCHANGE_ERROR"),
        "a nonce that is too small says nothing about the key"
    );
    assert_eq!(exchanges.asked().len(), 2, "it is tried with another one");
}

#[tokio::test]
async fn an_exchange_that_fails_is_asked_again_and_leaves_the_binding_unverified() {
    let exchanges = Exchanges::start().await;
    let world = World::start_with(|settings| settings.exchanges = exchanges.settings(false)).await;
    let user = world.user("ann").await;
    let path = made(&user, "main", "kraken").await;
    let verify = format!("{path}/verify");
    exchanges.set(|mood| mood.failures = vec![500, 503]);
    assert_eq!(
        user.send(Method::POST, &verify, None).await.data()["status"],
        "valid"
    );
    assert_eq!(exchanges.asked().len(), 3);
    for (failures, calls) in [(vec![500, 502, 504], 3), (vec![302], 1), (vec![429], 1)] {
        exchanges.set(|mood| mood.failures = failures);
        let answer = user.send(Method::POST, &verify, None).await;
        assert_eq!(answer.refusal(), (502, "EXCHANGE_ERROR"));
        assert_eq!(exchanges.asked().len(), calls, "redirects are not followed");
        assert_eq!(user.get(&path).await.data()["status"], "unverified");
    }
    exchanges.set(|mood| mood.talkative = true);
    assert_eq!(
        user.send(Method::POST, &verify, None).await.refusal(),
        (502, "EXCHANGE_ERROR")
    );
    exchanges.set(|mood| (mood.talkative, mood.silent) = (false, true));
    assert_eq!(
        user.send(Method::POST, &verify, None).await.refusal(),
        (504, "UPSTREAM_TIMEOUT")
    );
}

#[tokio::test]
async fn what_an_exchange_says_is_never_kept_for_credentials_it_was_not_asked_about() {
    let exchanges = Exchanges::start().await;
    let world = World::start_with(|settings| settings.exchanges = exchanges.settings(false)).await;
    let user = world.user("ann").await;
    let path = made(&user, "main", "gate").await;
    let verify = format!("{path}/verify");
    let gate = Arc::new(Semaphore::new(0));
    exchanges.set(|mood| mood.gate = Some(Arc::clone(&gate)));
    let change = async {
        eventually(
            "the exchange is asked",
            Duration::from_secs(3),
            async || {
                ensure!(
                    !exchanges.mood.lock().expect("unpoisoned").asked.is_empty(),
                    "not yet"
                );
                Ok(())
            },
        )
        .await
        .expect("it is");
        user.put(&path, json!({"api_secret": "d3Jvbmc="}))
            .await
            .data();
        gate.add_permits(1);
    };
    let (answer, ()) = tokio::join!(user.send(Method::POST, &verify, None), change);
    assert_eq!(
        answer.data()["status"],
        "refused",
        "it is asked again about the new ones: {}",
        answer.text
    );
    assert_eq!(exchanges.asked().len(), 2);
    assert_eq!(user.get(&path).await.data()["status"], "refused");
}

#[tokio::test]
async fn new_credentials_are_verified_at_once_where_the_service_is_set_up_so() {
    let exchanges = Exchanges::start().await;
    let world = World::start_with(|settings| settings.exchanges = exchanges.settings(true)).await;
    let user = world.user("ann").await;
    let created = user.post(LIST, new_binding("main", "gate", KEY)).await;
    assert_eq!(created.data()["status"], "valid");
    let path = format!("{LIST}/{}", text(&created.data()["id"]));
    assert_eq!(
        user.put(&path, json!({"api_key": "unknown"})).await.data()["status"],
        "refused"
    );
    exchanges.set(|mood| mood.failures = vec![500, 500, 500]);
    assert_eq!(
        user.put(&path, json!({"api_key": KEY})).await.data()["status"],
        "unverified",
        "the change is made"
    );
    assert_eq!(
        user.put(&path, json!({"name": "renamed"})).await.data()["status"],
        "unverified"
    );
    user.post(LIST, new_binding("okx", "okx", KEY)).await.data();
    let trading = json!({"name": "t", "type": "kraken", "api_key": KEY, "api_secret": SECRET});
    assert_eq!(
        user.post("/v1/tradings", trading).await.data()["exchange_binding"]["status"],
        "valid"
    );
}

/// Another replica remembers the session for some seconds after the user has left.
#[tokio::test]
async fn a_user_who_has_left_makes_and_moves_nothing_any_more() {
    let world = World::start().await;
    for (name, status, refusal, by_ledger) in [
        ("ann", "deleted", (401, "INVALID_TOKEN"), (404, "NOT_FOUND")),
        (
            "bob",
            "disabled",
            (403, "ACCOUNT_DISABLED"),
            (403, "ACCOUNT_DISABLED"),
        ),
    ] {
        let user = world.user(name).await;
        let desk = user.desk("desk", "1", "1").await;
        sqlx::query("UPDATE users SET status = $2 WHERE id = $1")
            .bind(user.id.0)
            .bind(status)
            .execute(world.database.pool())
            .await
            .expect("left");
        assert_eq!(
            user.post(LIST, new_binding("main", "kraken", KEY))
                .await
                .refusal(),
            refusal
        );
        let trading = json!({"name": "grid", "type": "paper"});
        assert_eq!(user.post("/v1/tradings", trading).await.refusal(), refusal);
        for balance in ["0", "1"] {
            let account = json!({"trading_id": desk.trading, "name": "third", "symbol": "ETH", "balance": balance});
            assert_eq!(
                user.post("/v1/sub-accounts", account).await.refusal(),
                refusal
            );
        }
        let path = format!("/v1/sub-accounts/{}", desk.stock);
        for direction in ["deposit", "withdraw"] {
            let answer = user
                .post(&format!("{path}/{direction}"), json!({"amount": "1"}))
                .await;
            assert_eq!(answer.refusal(), by_ledger, "{direction}");
        }
        for log_type in ["long", "note"] {
            assert_eq!(
                user.post("/v1/trading-logs", desk.trade(log_type))
                    .await
                    .refusal(),
                by_ledger,
                "{log_type}"
            );
        }
    }
    let made: (i64, i64, i64, i64) = sqlx::query_as(
        "SELECT (SELECT count(*) FROM exchange_bindings WHERE user_id IS NOT NULL), (SELECT count(*) FROM tradings), \
         (SELECT count(*) FROM sub_accounts), (SELECT count(*) FROM transactions)",
    )
    .fetch_one(world.database.pool())
    .await
    .expect("counts");
    assert_eq!(
        made,
        (0, 2, 4, 4),
        "what was there before, and nothing more"
    );
}
