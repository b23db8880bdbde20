//! Every documented error code, provoked over HTTP at an operation that documents it.

use crate::bindings::new_binding;
use crate::events::fixtures::{store_mismatch, store_rejected};
use crate::exchanges::{Exchanges, KEY};
use crate::openapi::operations;
use crate::sign_in::{Begun, by_google};
use crate::stub::{REDIRECT, Stub};
use crate::world::book::Book;
use crate::world::settings::settings;
use crate::world::{Answer, PUBLIC_BINDING, User, World};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use tiris_testing::free_port;

/// A code, the operation that provokes it, and the answer.
type Row = (&'static str, &'static str, Answer);

/// Returns the documented codes by operation and status.
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
async fn returns_every_documented_code_and_no_other() {
    let exchanges = Exchanges::start().await;
    let stub = Stub::start().await;
    let world = World::start_with(|settings| {
        settings.exchanges = exchanges.settings(false);
        settings.providers = stub.settings();
    })
    .await;
    let user = world.user("ann").await;
    let root = world.admin("root").await;
    let book = user.book("grid", "1", "1").await;

    let mut rows = of_callers(&world, &user).await;
    rows.extend(of_bodies(&user, &book).await);
    rows.extend(of_signing_in(&world, &stub).await);
    rows.extend(of_the_ledger(&user, &book).await);
    rows.extend(of_conflicts(&user, &book).await);
    rows.extend(of_records(&user, &root, &book).await);
    rows.extend(of_exchanges(&user, &exchanges).await);
    rows.extend(of_trouble(&user, &book).await);
    let documented = documented();

    for (code, operation, answer) in &rows {
        let (status, found) = answer.refusal();
        assert_eq!(found, *code, "{operation}: {}", answer.text);

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

/// Faults of the caller.
async fn of_callers(world: &World, user: &User<'_>) -> Vec<Row> {
    const LIST: &str = "GET /v1/tradings";
    let disabled = world.user("disabled").await;
    disabled.set_status("disabled").await;
    let limited =
        World::start_with(|settings| settings.protection.rates.general = NonZeroU32::new(1)).await;
    limited.anonymous("/v1/tradings").await;
    let full = World::start_with(|settings| settings.protection.quotas.tradings = 1).await;
    let owner = full.user("owner").await;
    let trading = async |name: &str| {
        let body = json!({"name": name, "type": "paper"});
        owner.post("/v1/tradings", body).await
    };
    trading("one").await.data();

    let anonymous = world.anonymous("/v1/tradings").await;
    let forged = world.get_as("forged", "/v1/tradings").await;
    let refused = disabled.get("/v1/tradings").await;
    let too_many = limited.anonymous("/v1/tradings").await;
    let users = user.get("/v1/users").await;
    vec![
        ("AUTH_REQUIRED", LIST, anonymous),
        ("INVALID_TOKEN", LIST, forged),
        ("ACCOUNT_DISABLED", LIST, refused),
        ("RATE_LIMITED", LIST, too_many),
        ("ACCESS_DENIED", "GET /v1/users", users),
        ("QUOTA_EXCEEDED", "POST /v1/tradings", trading("two").await),
    ]
}

/// Faults of the body.
async fn of_bodies(user: &User<'_>, book: &Book) -> Vec<Row> {
    const CREATE: &str = "POST /v1/tradings";
    const LIST: &str = "/v1/tradings";
    let own = format!("{LIST}/{}", book.trading);
    let create = async |body: Value| user.post(LIST, body).await;
    let with_info = |info: Value| json!({"name": "new", "type": "paper", "info": info});

    let malformed = user.post_text(LIST, "no JSON").await;
    let missing = create(json!({"name": "new"})).await;
    let invalid = create(json!({"name": "", "type": "paper"})).await;
    let info = create(with_info(json!({"x": "\0"}))).await;
    let large = create(with_info(json!({"x": "x".repeat(300_000)}))).await;
    let text = [("content-type", "text/plain")];
    let media_type = user
        .send_with(Method::POST, LIST, &text, Some("{}".to_owned()))
        .await;
    let key = [JSON, ("idempotency-key", "k")];
    let keyed = async |name: &str| {
        let body = json!({"name": name, "type": "paper"});
        user.send_with(Method::POST, LIST, &key, Some(body.to_string()))
            .await
    };
    keyed("first").await.data();
    let old = [JSON, ("if-match", "\"old\"")];
    let stale = user
        .send_with(Method::PUT, &own, &old, Some("{}".to_owned()))
        .await;
    let unknown = user.get(&format!("{LIST}/{}", user.id.0)).await;
    vec![
        ("INVALID_REQUEST", CREATE, malformed),
        ("MISSING_FIELD", CREATE, missing),
        ("INVALID_VALUE", CREATE, invalid),
        ("INVALID_INFO_STRUCTURE", CREATE, info),
        ("BODY_TOO_LARGE", CREATE, large),
        ("UNSUPPORTED_MEDIA_TYPE", CREATE, media_type),
        ("IDEMPOTENCY_KEY_REUSED", CREATE, keyed("second").await),
        ("STALE_VERSION", "PUT /v1/tradings/{id}", stale),
        ("NOT_FOUND", "GET /v1/tradings/{id}", unknown),
    ]
}

const JSON: (&str, &str) = ("content-type", "application/json");

/// Faults of signing in.
async fn of_signing_in(world: &World, stub: &Stub) -> Vec<Row> {
    const BEGIN: &str = "POST /v1/auth/login";
    const END: &str = "POST /v1/auth/callback";
    let begin = async |provider: &str, redirect: &str| {
        let challenge = "A".repeat(43);
        let body =
            json!({"provider": provider, "redirect_uri": redirect, "login_challenge": challenge});
        world.post("/v1/auth/login", body).await
    };
    let end = async |code: &str| Begun::at(world, "google").await.end(world, code).await;
    let mut stranger = Begun::at(world, "google").await.callback("code");
    stranger["state"] = json!("unknown");

    let provider = begin("github", REDIRECT).await;
    let redirect = begin("google", "https://evil.example/").await;
    let state = world.post("/v1/auth/callback", stranger).await;
    let email = by_google(world, stub, "g-1", "ann@example.com", false).await;
    vec![
        ("INVALID_PROVIDER", BEGIN, provider),
        ("REDIRECT_URI_MISMATCH", BEGIN, redirect),
        ("STATE_MISMATCH", END, state),
        ("INVALID_AUTHORIZATION_CODE", END, end("unknown").await),
        ("OAUTH_ERROR", END, end("refused").await),
        ("EMAIL_EXISTS", END, email),
    ]
}

/// Rejections of the ledger.
async fn of_the_ledger(user: &User<'_>, book: &Book) -> Vec<Row> {
    let other = user.book("other", "1", "1").await;
    let mut rows = Vec::new();
    for (code, changed) in [
        ("OWNERSHIP_MISMATCH", json!({"fee_account_id": other.stock})),
        ("SYMBOL_MISMATCH", json!({"stock": "DOGE"})),
        (
            "SAME_ACCOUNT",
            json!({"currency_account_id": book.stock, "currency": "ETH"}),
        ),
        ("INVALID_AMOUNT", json!({"volume": "-1"})),
        ("INSUFFICIENT_BALANCE", json!({"volume": "2000"})),
        (
            "AMOUNT_OUT_OF_RANGE",
            json!({"volume": "99999999999999999999", "price": "0"}),
        ),
    ] {
        let mut trade = book.trade("long");
        for (key, value) in changed.as_object().expect("an object") {
            trade["info"][key] = value.clone();
        }

        rows.push((
            code,
            "POST /v1/trading-logs",
            user.post("/v1/trading-logs", trade).await,
        ));
    }

    use_on_many_pairs(user, book, "many").await;
    let mut trade = book.trade("long");
    trade["info"]["order_id"] = json!("many");
    let refused = user.post("/v1/trading-logs", trade).await;
    rows.push(("ORDER_TOO_LARGE", "POST /v1/trading-logs", refused));
    rows
}

/// Stores orders of an id on as many pairs as an id may have.
async fn use_on_many_pairs(user: &User<'_>, book: &Book, order: &str) {
    let insert = "INSERT INTO orders (id, user_id, trading_id, symbol, order_id, ordinal, status, first_event_time, \
         last_event_time, created_at, updated_at) \
         SELECT gen_random_uuid(), $1, $2::text::uuid, 'A' || n || '/B', $3, n, 'open', now(), now(), now(), now() \
         FROM generate_series(0, 99) n";
    sqlx::query(insert)
        .bind(user.id.0)
        .bind(&book.trading)
        .bind(order)
        .execute(user.world.pool())
        .await
        .expect("orders");
}

/// Conflicts among bindings and tradings.
async fn of_conflicts(user: &User<'_>, book: &Book) -> Vec<Row> {
    const BINDINGS: &str = "/v1/exchange-bindings";
    const BIND: &str = "POST /v1/exchange-bindings";
    let bind = async |name: &str, exchange: &str, key: &str| {
        user.post(BINDINGS, new_binding(name, exchange, key)).await
    };
    let main = bind("main", "kraken", KEY).await.id();
    let real = json!({"name": "real", "type": "real", "exchange_binding_id": main,
                      "sub_accounts": [{"name": "a", "symbol": "BTC", "initial_deposit": "1"}]});
    let real = user.post("/v1/tradings", real).await.id();
    let paper = json!({"name": "grid", "type": "paper"});
    let twice = json!({"trading_id": book.trading, "name": "stock", "symbol": "ETH"});
    let public = format!("{BINDINGS}/{PUBLIC_BINDING}");

    let same_name = bind("main", "gate", "k").await;
    let same_key = bind("new", "kraken", KEY).await;
    let in_use = user.delete(&format!("{BINDINGS}/{main}")).await;
    let denied = user.put(&public, json!({"name": "mine"})).await;
    let same_trading = user.post("/v1/tradings", paper).await;
    let not_empty = user.delete(&format!("/v1/tradings/{real}")).await;
    let same_account = user.post("/v1/sub-accounts", twice).await;
    let account = format!("/v1/sub-accounts/{}", book.stock);
    let balance = user.delete(&account).await;
    let rename = json!({"username": "root"});
    let same_user = user.put("/v1/users/me", rename).await;
    vec![
        ("BINDING_NAME_EXISTS", BIND, same_name),
        ("API_KEY_EXISTS", BIND, same_key),
        (
            "BINDING_IN_USE",
            "DELETE /v1/exchange-bindings/{id}",
            in_use,
        ),
        ("ACCESS_DENIED", "PUT /v1/exchange-bindings/{id}", denied),
        ("TRADING_NAME_EXISTS", "POST /v1/tradings", same_trading),
        ("TRADING_NOT_EMPTY", "DELETE /v1/tradings/{id}", not_empty),
        (
            "SUBACCOUNT_NAME_EXISTS",
            "POST /v1/sub-accounts",
            same_account,
        ),
        ("BALANCE_NOT_ZERO", "DELETE /v1/sub-accounts/{id}", balance),
        ("USERNAME_EXISTS", "PUT /v1/users/me", same_user),
    ]
}

/// Conflicts with records.
async fn of_records(user: &User<'_>, root: &User<'_>, book: &Book) -> Vec<Row> {
    let trade = user.log(book.trade("long")).await;
    let letter = store_rejected(user, book, 1, "1").await;
    let discard = format!("/v1/events/dead-letters/{letter}/discard");
    let why = json!({"reason": "a test"});
    root.post(&discard, why.clone()).await.data();

    let unaccepted = store_mismatch(user, root.id.0, book, 2).await;
    let unaccepted = format!("/v1/events/dead-letters/{unaccepted}/replay");
    let unaccepted = root.post(&unaccepted, json!({})).await;
    let log = format!("/v1/trading-logs/{}", trade.id());
    let moved = root.delete(&log).await;
    let closed = root.post(&discard, why).await;
    vec![
        ("LOG_MOVED_MONEY", "DELETE /v1/trading-logs/{id}", moved),
        (
            "LETTER_NOT_OPEN",
            "POST /v1/events/dead-letters/{id}/discard",
            closed,
        ),
        (
            "ACCEPT_USER_REQUIRED",
            "POST /v1/events/dead-letters/{id}/replay",
            unaccepted,
        ),
    ]
}

/// Failures of exchanges.
async fn of_exchanges(user: &User<'_>, exchanges: &Exchanges) -> Vec<Row> {
    const VERIFY: &str = "POST /v1/exchange-bindings/{id}/verify";

    let created = user
        .post(
            "/v1/exchange-bindings",
            new_binding("verified", "gate", KEY),
        )
        .await;
    let path = format!("/v1/exchange-bindings/{}/verify", created.id());

    exchanges.set(|behaviour| behaviour.failures = vec![429]);
    let failing = user.post_empty(&path).await;
    exchanges.set(|behaviour| (behaviour.failures, behaviour.silent) = (Vec::new(), true));
    let late = user.post_empty(&path).await;

    vec![
        ("EXCHANGE_ERROR", VERIFY, failing),
        ("UPSTREAM_TIMEOUT", VERIFY, late),
    ]
}

/// Faults of the service. Afterwards the API cannot read the table `tradings`.
async fn of_trouble(user: &User<'_>, book: &Book) -> Vec<Row> {
    let port = free_port().expect("a port");
    let away = World::start_with(|changed| {
        let nowhere = format!("postgres://tiris@127.0.0.1:{port}/tiris");
        changed.database = settings(&nowhere, changed.key_files[0].clone()).database;
    })
    .await;
    let stranded = away.user("ann").await;
    let broken = "ALTER TABLE tradings RENAME COLUMN info TO broken";
    user.world.execute(broken).await;
    let path = format!("/v1/tradings/{}", book.trading);

    let list = stranded.get("/v1/tradings").await;
    let ready = away.anonymous("/health/ready").await;
    let unreadable = user.get(&path).await;
    vec![
        ("DATABASE_UNAVAILABLE", "GET /v1/tradings", list),
        ("SERVICE_UNAVAILABLE", "GET /health/ready", ready),
        ("INTERNAL_ERROR", "GET /v1/tradings/{id}", unreadable),
    ]
}
