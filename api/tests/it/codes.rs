//! Every error code of the document, provoked over HTTP where the document says it can come.

use crate::bindings::new_binding;
use crate::events::refused;
use crate::exchanges::{Exchanges, KEY};
use crate::openapi::operations;
use crate::sign_in::{Begun, by_google};
use crate::stub::{REDIRECT, Stub};
use crate::world::{Answer, Desk, PUBLIC_BINDING, User, World, settings, text};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use tiris_testing::free_port;

/// A code, the operation it is provoked at, and what that answered.
type Row = (&'static str, &'static str, Answer);

/// Codes by operation and status, as the document has them.
fn documented() -> BTreeMap<(String, u16), BTreeSet<String>> {
    let mut codes: BTreeMap<(String, u16), BTreeSet<String>> = BTreeMap::new();
    for (method, path, operation) in operations() {
        for (status, response) in operation["responses"].as_object().expect("responses") {
            let status: u16 = status.parse().expect("a status");
            let quoted = response["description"]
                .as_str()
                .expect("a description")
                .split('`')
                .skip(1)
                .step_by(2);
            let is_code = |word: &&str| {
                word.contains('_') && word.chars().all(|c| c.is_ascii_uppercase() || c == '_')
            };
            let found = quoted.filter(is_code).map(str::to_owned);
            if status >= 400 {
                codes
                    .entry((format!("{method} {path}"), status))
                    .or_default()
                    .extend(found);
            }
        }
    }
    codes
}

#[tokio::test]
async fn every_code_of_the_document_is_really_answered_and_no_other() {
    let exchanges = Exchanges::start().await;
    let stub = Stub::start().await;
    let world = World::start_with(|settings| {
        settings.exchanges = exchanges.settings(false);
        settings.providers = stub.settings();
    })
    .await;
    let (user, root) = (world.user("ann").await, world.admin("root").await);
    let desk = user.desk("grid", "1", "1").await;
    let mut rows = of_callers(&world, &user).await;
    rows.extend(of_bodies(&user, &desk).await);
    rows.extend(of_signing_in(&world, &stub).await);
    rows.extend(of_the_ledger(&user, &desk).await);
    rows.extend(of_conflicts(&user, &root, &desk).await);
    rows.extend(of_exchanges(&user, &exchanges).await);
    rows.extend(of_trouble(&user, &desk).await);
    let documented = documented();
    for (code, operation, answer) in &rows {
        let (status, told) = answer.refusal();
        assert_eq!(told, *code, "{operation}: {}", answer.text);
        let known = documented.get(&((*operation).to_owned(), status));
        assert!(
            known.is_some_and(|codes| codes.contains(*code)),
            "{operation} does not document {status} {code}"
        );
    }
    let provoked: BTreeSet<&str> = rows.iter().map(|row| row.0).collect();
    let known: BTreeSet<&str> = documented.values().flatten().map(String::as_str).collect();
    assert_eq!(
        known.difference(&provoked).collect::<Vec<_>>(),
        Vec::<&&str>::new(),
        "codes without a row here"
    );
    assert_eq!(
        provoked.difference(&known).collect::<Vec<_>>(),
        Vec::<&&str>::new(),
        "rows without a code"
    );
}

/// What is wrong with who asks.
async fn of_callers(world: &World, user: &User<'_>) -> Vec<Row> {
    let disabled = world.user("disabled").await;
    world
        .run(
            "UPDATE users SET status = 'disabled' WHERE id = $1",
            disabled.id.0,
        )
        .await;
    let forged = User {
        world,
        id: user.id,
        session: user.session,
        token: "forged".to_owned(),
    };
    let limited =
        World::start_with(|settings| settings.protection.rates.general = NonZeroU32::new(1)).await;
    limited.anonymous("/v1/tradings").await;
    vec![
        (
            "AUTH_REQUIRED",
            "GET /v1/tradings",
            world.anonymous("/v1/tradings").await,
        ),
        (
            "INVALID_TOKEN",
            "GET /v1/tradings",
            forged.get("/v1/tradings").await,
        ),
        (
            "ACCOUNT_DISABLED",
            "GET /v1/tradings",
            disabled.get("/v1/tradings").await,
        ),
        (
            "ACCESS_DENIED",
            "GET /v1/users",
            user.get("/v1/users").await,
        ),
        (
            "RATE_LIMITED",
            "GET /v1/tradings",
            limited.anonymous("/v1/tradings").await,
        ),
    ]
}

/// What is wrong with what is sent.
async fn of_bodies(user: &User<'_>, desk: &Desk) -> Vec<Row> {
    const MAKE: &str = "POST /v1/tradings";
    let (list, own) = ("/v1/tradings", format!("/v1/tradings/{}", desk.trading));
    let new = |info: &Value| json!({"name": "new", "type": "paper", "info": info});
    let bearer = format!("Bearer {}", user.token);
    let asked = async |headers: &[(&str, &str)], method: Method, path: &str, body: &Value| {
        let all = [&[("authorization", bearer.as_str())], headers].concat();
        user.world
            .ask(method, path, &all, Some(body.to_string()))
            .await
    };
    let json = ("content-type", "application/json");
    let keyed = async |name: &str| {
        let body = json!({"name": name, "type": "paper"});
        asked(&[json, ("idempotency-key", "k")], Method::POST, list, &body).await
    };
    keyed("first").await.data();
    vec![
        (
            "INVALID_REQUEST",
            MAKE,
            user.post_text(list, "no JSON").await,
        ),
        (
            "MISSING_FIELD",
            MAKE,
            user.post(list, json!({"name": "new"})).await,
        ),
        (
            "INVALID_VALUE",
            MAKE,
            user.post(list, json!({"name": "", "type": "paper"})).await,
        ),
        (
            "INVALID_INFO_STRUCTURE",
            MAKE,
            user.post(list, new(&json!({"x": "\0"}))).await,
        ),
        (
            "BODY_TOO_LARGE",
            MAKE,
            user.post(list, new(&json!({"x": "x".repeat(300_000)})))
                .await,
        ),
        (
            "UNSUPPORTED_MEDIA_TYPE",
            MAKE,
            asked(
                &[("content-type", "text/plain")],
                Method::POST,
                list,
                &json!({}),
            )
            .await,
        ),
        ("IDEMPOTENCY_KEY_REUSED", MAKE, keyed("second").await),
        (
            "NOT_FOUND",
            "GET /v1/tradings/{id}",
            user.get(&format!("/v1/tradings/{}", user.id.0)).await,
        ),
        (
            "STALE_VERSION",
            "PUT /v1/tradings/{id}",
            asked(
                &[json, ("if-match", "\"old\"")],
                Method::PUT,
                &own,
                &json!({}),
            )
            .await,
        ),
    ]
}

/// What goes wrong at identity providers and on the way there.
async fn of_signing_in(world: &World, stub: &Stub) -> Vec<Row> {
    const END: &str = "POST /v1/auth/callback";
    let begin = |provider: &str, redirect: &str| json!({"provider": provider, "redirect_uri": redirect, "login_challenge": "A".repeat(43)});
    let coded = async |code: &str| Begun::at(world, "google").await.end(world, code).await;
    let mut stranger = Begun::at(world, "google").await.callback("code");
    stranger["state"] = json!("unknown");
    vec![
        (
            "INVALID_PROVIDER",
            "POST /v1/auth/login",
            world
                .post("/v1/auth/login", begin("github", REDIRECT))
                .await,
        ),
        (
            "REDIRECT_URI_MISMATCH",
            "POST /v1/auth/login",
            world
                .post("/v1/auth/login", begin("google", "https://evil.example/"))
                .await,
        ),
        (
            "STATE_MISMATCH",
            END,
            world.post("/v1/auth/callback", stranger).await,
        ),
        ("INVALID_AUTHORIZATION_CODE", END, coded("unknown").await),
        ("OAUTH_ERROR", END, coded("refused").await),
        (
            "EMAIL_EXISTS",
            END,
            by_google(world, stub, "g-1", "ann@example.com", false).await,
        ),
    ]
}

/// What the ledger refuses.
async fn of_the_ledger(user: &User<'_>, desk: &Desk) -> Vec<Row> {
    let other = user.desk("other", "1", "1").await;
    let mut rows = Vec::new();
    for (code, changed) in [
        ("OWNERSHIP_MISMATCH", json!({"fee_account_id": other.stock})),
        ("SYMBOL_MISMATCH", json!({"stock": "DOGE"})),
        (
            "SAME_ACCOUNT",
            json!({"currency_account_id": desk.stock, "currency": "ETH"}),
        ),
        ("INVALID_AMOUNT", json!({"volume": "-1"})),
        ("TOO_MANY_DECIMALS", json!({"volume": "0.0000000000001"})),
        ("INSUFFICIENT_BALANCE", json!({"volume": "2000"})),
        (
            "AMOUNT_OUT_OF_RANGE",
            json!({"volume": "9999999999999999", "price": "0"}),
        ),
    ] {
        let mut trade = desk.trade("long");
        for (key, value) in changed.as_object().expect("an object") {
            trade["info"][key] = value.clone();
        }
        rows.push((
            code,
            "POST /v1/trading-logs",
            user.post("/v1/trading-logs", trade).await,
        ));
    }
    rows
}

/// What contradicts what is there.
async fn of_conflicts(user: &User<'_>, root: &User<'_>, desk: &Desk) -> Vec<Row> {
    const BINDINGS: &str = "/v1/exchange-bindings";
    let main = text(
        &user
            .post(BINDINGS, new_binding("main", "kraken", KEY))
            .await
            .data()["id"],
    );
    let real = json!({"name": "real", "type": "real", "exchange_binding_id": main,
                      "sub_accounts": [{"name": "a", "symbol": "BTC", "initial_deposit": "1"}]});
    let real = text(&user.post("/v1/tradings", real).await.data()["id"]);
    let twice = json!({"trading_id": desk.trading, "name": "stock", "symbol": "ETH"});
    let paper = json!({"name": "grid", "type": "paper"});
    let trade = user.post("/v1/trading-logs", desk.trade("long")).await;
    let log = format!("/v1/trading-logs/{}", text(&trade.data()["id"]));
    let letter = refused(user.world, user, desk, 1, "1").await;
    let discard = format!("/v1/events/dead-letters/{letter}/discard");
    let why = json!({"reason": "a test"});
    root.post(&discard, why.clone()).await.data();
    vec![
        (
            "BINDING_NAME_EXISTS",
            "POST /v1/exchange-bindings",
            user.post(BINDINGS, new_binding("main", "gate", "k")).await,
        ),
        (
            "API_KEY_EXISTS",
            "POST /v1/exchange-bindings",
            user.post(BINDINGS, new_binding("new", "kraken", KEY)).await,
        ),
        (
            "BINDING_IN_USE",
            "DELETE /v1/exchange-bindings/{id}",
            user.delete(&format!("{BINDINGS}/{main}")).await,
        ),
        (
            "TRADING_NAME_EXISTS",
            "POST /v1/tradings",
            user.post("/v1/tradings", paper).await,
        ),
        (
            "TRADING_NOT_EMPTY",
            "DELETE /v1/tradings/{id}",
            user.delete(&format!("/v1/tradings/{real}")).await,
        ),
        (
            "SUBACCOUNT_NAME_EXISTS",
            "POST /v1/sub-accounts",
            user.post("/v1/sub-accounts", twice).await,
        ),
        (
            "BALANCE_NOT_ZERO",
            "DELETE /v1/sub-accounts/{id}",
            user.delete(&format!("/v1/sub-accounts/{}", desk.stock))
                .await,
        ),
        (
            "LOG_MOVED_MONEY",
            "DELETE /v1/trading-logs/{id}",
            root.delete(&log).await,
        ),
        (
            "LETTER_NOT_OPEN",
            "POST /v1/events/dead-letters/{id}/discard",
            root.post(&discard, why).await,
        ),
        (
            "USERNAME_EXISTS",
            "PUT /v1/users/me",
            user.put("/v1/users/me", json!({"username": "root"})).await,
        ),
        (
            "ACCESS_DENIED",
            "PUT /v1/exchange-bindings/{id}",
            user.put(
                &format!("{BINDINGS}/{PUBLIC_BINDING}"),
                json!({"name": "mine"}),
            )
            .await,
        ),
    ]
}

/// What goes wrong at exchanges.
async fn of_exchanges(user: &User<'_>, exchanges: &Exchanges) -> Vec<Row> {
    const VERIFY: &str = "POST /v1/exchange-bindings/{id}/verify";
    let made = user
        .post("/v1/exchange-bindings", new_binding("asked", "gate", KEY))
        .await;
    let path = format!("/v1/exchange-bindings/{}/verify", text(&made.data()["id"]));
    exchanges.set(|mood| mood.failures = vec![429]);
    let failing = user.send(Method::POST, &path, None).await;
    exchanges.set(|mood| (mood.failures, mood.silent) = (Vec::new(), true));
    let late = user.send(Method::POST, &path, None).await;
    vec![
        ("EXCHANGE_ERROR", VERIFY, failing),
        ("UPSTREAM_TIMEOUT", VERIFY, late),
    ]
}

/// What is nobody's fault but ours. It leaves a table behind that the API cannot read.
async fn of_trouble(user: &User<'_>, desk: &Desk) -> Vec<Row> {
    let port = free_port().expect("a port");
    let away = World::start_with(|changed| {
        let nowhere = format!("postgres://tiris@127.0.0.1:{port}/tiris");
        changed.database = settings(&nowhere, changed.key_files[0].clone()).database;
    })
    .await;
    let stranded = away.user("ann").await;
    let path = format!("/v1/tradings/{}", desk.trading);
    let broken = sqlx::raw_sql("ALTER TABLE tradings RENAME COLUMN info TO broken");
    broken
        .execute(user.world.database.pool())
        .await
        .expect("broken");
    vec![
        (
            "DATABASE_UNAVAILABLE",
            "GET /v1/tradings",
            stranded.get("/v1/tradings").await,
        ),
        (
            "SERVICE_UNAVAILABLE",
            "GET /health/ready",
            away.anonymous("/health/ready").await,
        ),
        (
            "INTERNAL_ERROR",
            "GET /v1/tradings/{id}",
            user.get(&path).await,
        ),
    ]
}
