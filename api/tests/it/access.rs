//! Who may ask: every operation of the document, with every kind of wrong token and with other users' ids.

use crate::bindings::new_binding;
use crate::events::refused;
use crate::exchanges::{Exchanges, KEY};
use crate::openapi::operations;
use crate::world::{Desk, User, World, hold, text};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{Duration, Utc};
use jsonwebtoken::{Algorithm, EncodingKey, Header, decode_header, encode};
use reqwest::Method;
use serde_json::{Value, json};
use tiris_api::auth::{keys::Keys, token};
use tiris_domain::ids::{UserId, new_id};
use tiris_runtime::config::Environment;

/// What anybody may ask.
const OPEN: [&str; 6] = [
    "GET /",
    "GET /health/live",
    "GET /health/ready",
    "POST /v1/auth/login",
    "POST /v1/auth/callback",
    "POST /v1/auth/refresh",
];

/// Tokens that must not work, with what is wrong with each.
async fn wrong_tokens(user: &User<'_>) -> Vec<(&'static str, String)> {
    let world = user.world;
    let foreign_file = world.key_file.with_file_name("foreign.pem");
    let foreign = Keys::load(std::slice::from_ref(&foreign_file), Environment::Dev).expect("keys");
    let foreign_pem =
        EncodingKey::from_ed_pem(&std::fs::read(foreign_file).expect("a key")).expect("a key");
    let own_pem =
        EncodingKey::from_ed_pem(&std::fs::read(&world.key_file).expect("a key")).expect("a key");
    let now = Utc::now();
    let claims = json!({"iss": "tiris", "aud": "tiris-api", "sub": user.id, "sid": user.session,
                        "iat": now.timestamp(), "exp": now.timestamp() + 600});
    let changed = |key: &str, value: Value| {
        let mut claims = claims.clone();
        claims[key] = value;
        claims
    };
    let without = |key: &str| {
        let mut claims = claims.clone();
        claims.as_object_mut().expect("an object").shift_remove(key);
        claims
    };
    let kid = decode_header(&user.token).expect("a header").kid;
    let header = Header {
        kid: kid.clone(),
        ..Header::new(Algorithm::EdDSA)
    };
    let signed = |claims: &Value| encode(&header, claims, &own_pem).expect("a token");
    let unsigned = |alg: &str| {
        let header = json!({"typ": "JWT", "alg": alg, "kid": kid}).to_string();
        format!(
            "{}.{}.",
            URL_SAFE_NO_PAD.encode(header),
            URL_SAFE_NO_PAD.encode(claims.to_string())
        )
    };
    let public = world.anonymous("/.well-known/jwks.json").await.body["keys"][0]["x"].clone();
    let confused = Header {
        kid: kid.clone(),
        ..Header::new(Algorithm::HS256)
    };
    let mut tampered = user.token.clone();
    tampered.replace_range(tampered.len() - 8.., "AAAAAAAA");
    let ended = world.session(user.id).await;
    sqlx::query("UPDATE sessions SET revoked_at = now() WHERE id = $1")
        .bind(ended)
        .execute(world.database.pool())
        .await
        .expect("revoked");
    vec![
        ("garbage", "garbage".to_owned()),
        ("three parts of garbage", "a.b.c".to_owned()),
        ("longer than any token", "a".repeat(10_000)),
        ("expired", token_of(world, user, Duration::seconds(-1))),
        ("a wrong signature", tampered),
        (
            "a foreign key",
            token::issue(&foreign, user.id, user.session, now, Duration::hours(1))
                .expect("a token"),
        ),
        (
            "a foreign key under our key id",
            encode(&header, &claims, &foreign_pem).expect("a token"),
        ),
        ("alg none", unsigned("none")),
        ("alg None", unsigned("None")),
        ("EdDSA without a signature", unsigned("EdDSA")),
        (
            "our public key as a secret",
            encode(
                &confused,
                &claims,
                &EncodingKey::from_secret(text(&public).as_bytes()),
            )
            .expect("a token"),
        ),
        (
            "no key id",
            encode(&Header::new(Algorithm::EdDSA), &claims, &own_pem).expect("a token"),
        ),
        ("another audience", signed(&changed("aud", json!("other")))),
        ("another issuer", signed(&changed("iss", json!("other")))),
        ("no expiry", signed(&without("exp"))),
        ("no audience", signed(&without("aud"))),
        ("no issuer", signed(&without("iss"))),
        ("no session", signed(&without("sid"))),
        ("no user", signed(&without("sub"))),
        (
            "an unknown session",
            signed(&changed("sid", json!(new_id()))),
        ),
        ("an ended session", signed(&changed("sid", json!(ended)))),
        (
            "another user's session",
            signed(&changed("sub", json!(UserId(new_id())))),
        ),
    ]
}

fn token_of(world: &World, user: &User<'_>, lifetime: Duration) -> String {
    world.token(user.id, user.session, lifetime)
}

#[tokio::test]
async fn every_operation_refuses_every_wrong_token() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let tokens = wrong_tokens(&user).await;
    let mut open = Vec::new();
    for (method, path, operation) in operations() {
        if operation["security"].as_array().is_none_or(Vec::is_empty) {
            open.push(format!("{method} {path}"));
            continue;
        }
        let method: Method = method.parse().expect("a method");
        let path = path
            .replace("{id}", &new_id().to_string())
            .replace("{trading_id}", &new_id().to_string());
        let anonymous = world.ask(method.clone(), &path, &[], None).await;
        assert_eq!(
            anonymous.refusal(),
            (401, "AUTH_REQUIRED"),
            "{method} {path}"
        );
        assert_eq!(anonymous.header("www-authenticate"), "Bearer");
        let basic = world
            .ask(
                method.clone(),
                &path,
                &[("authorization", "Basic YTpi")],
                None,
            )
            .await;
        assert_eq!(basic.refusal(), (401, "AUTH_REQUIRED"), "{method} {path}");
        for (what, token) in &tokens {
            let bearer = format!("Bearer {token}");
            let answer = world
                .ask(method.clone(), &path, &[("authorization", &bearer)], None)
                .await;
            assert_eq!(
                answer.refusal(),
                (401, "INVALID_TOKEN"),
                "{what}: {method} {path}"
            );
        }
    }
    assert_eq!(open, OPEN, "only these may be asked by anybody");
}

/// Operations say so themselves.
fn is_for_admins(operation: &Value) -> bool {
    let told = operation["responses"]["403"]["description"].as_str();
    told.is_some_and(|text| text.contains("`ACCESS_DENIED`: the caller is no admin"))
}

/// What only admins may ask.
const FOR_ADMINS: [&str; 12] = [
    "POST /v1/events/dead-letters/discard",
    "POST /v1/events/dead-letters/replay",
    "POST /v1/events/dead-letters/{id}/discard",
    "POST /v1/events/dead-letters/{id}/replay",
    "GET /v1/events/replay",
    "POST /v1/events/replay",
    "GET /v1/events/replay/{id}",
    "DELETE /v1/trading-logs/{id}",
    "GET /v1/users",
    "GET /v1/users/{id}",
    "PUT /v1/users/{id}/disable",
    "PUT /v1/users/{id}/enable",
];

#[tokio::test]
async fn operations_for_admins_refuse_everybody_else() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let mut found = Vec::new();
    for (method, path, operation) in operations() {
        if !is_for_admins(&operation) {
            continue;
        }
        found.push(format!("{} {path}", method.to_uppercase()));
        let path = path.replace("{id}", &new_id().to_string());
        let answer = user
            .send(method.parse().expect("a method"), &path, Some(json!({})))
            .await;
        assert_eq!(answer.refusal(), (403, "ACCESS_DENIED"), "{method} {path}");
    }
    found.sort_by_key(|name| name.split(' ').rev().map(str::to_owned).collect::<Vec<_>>());
    assert_eq!(found, FOR_ADMINS);
}

/// Paths of one user's things, for every operation that names one.
pub(crate) async fn things(owner: &User<'_>, desk: &Desk) -> Vec<(&'static str, String)> {
    let log = owner.post("/v1/trading-logs", desk.trade("long")).await;
    let letter = refused(owner.world, owner, desk, 1, "1").await;
    vec![
        ("/v1/events/dead-letters/{id}", letter.to_string()),
        ("/v1/tradings/{id}", desk.trading.clone()),
        ("/v1/sub-accounts/{id}", desk.stock.clone()),
        (
            "/v1/transactions/{id}",
            text(&log.data()["transaction_ids"][0]),
        ),
        (
            "/v1/trading-logs/trading/{trading_id}",
            desk.trading.clone(),
        ),
        ("/v1/trading-logs/{id}", text(&log.data()["id"])),
    ]
}

/// A binding of the user; the only one.
async fn binding(user: &User<'_>) -> String {
    sqlx::query("UPDATE exchange_bindings SET status = 'deleted' WHERE user_id = $1")
        .bind(user.id.0)
        .execute(user.world.database.pool())
        .await
        .expect("deleted");
    text(
        &user
            .post("/v1/exchange-bindings", new_binding("mine", "kraken", KEY))
            .await
            .data()["id"],
    )
}

/// Path of a thing of the owner's that an operation of its own is tried on, because it deletes it or needs a special one.
pub(crate) async fn own_thing(owner: &User<'_>, method: &str, path: &str) -> Option<String> {
    let id = match (method, path) {
        (_, path) if path.starts_with("/v1/exchange-bindings/{id}") => binding(owner).await,
        ("DELETE", "/v1/tradings/{id}") => owner.desk("to be deleted", "1", "1").await.trading,
        ("DELETE", "/v1/sub-accounts/{id}") => owner.desk("empty", "0", "0").await.stock,
        ("DELETE", "/v1/sub-accounts/{id}/holds") => {
            let desk = owner.desk("held", "1", "1").await;
            hold(owner.world, &desk.stock, "o1", "0.5").await;
            return Some(format!("/v1/sub-accounts/{}/holds?order_id=o1", desk.stock));
        }
        _ => return None,
    };
    Some(path.replace("{id}", &id))
}

#[tokio::test]
async fn another_users_things_do_not_exist() {
    let exchanges = Exchanges::start().await;
    let world = World::start_with(|settings| settings.exchanges = exchanges.settings(false)).await;
    let (owner, stranger) = (world.user("ann").await, world.user("bob").await);
    let desk = owner.desk("grid", "10", "10").await;
    let things = things(&owner, &desk).await;
    let of_users = operations()
        .into_iter()
        .filter(|(_, _, operation)| !is_for_admins(operation));
    for (method, path, _) in of_users.filter(|(_, path, _)| path.contains('{')) {
        let path = match own_thing(&owner, &method, &path).await {
            Some(path) => path,
            None => {
                let (prefix, id) = things
                    .iter()
                    .find(|(prefix, _)| path.starts_with(prefix))
                    .unwrap_or_else(|| panic!("{method} {path} has no case here"));
                path.replace(&prefix[prefix.find('{').expect("a parameter")..], id)
            }
        };
        let ask = async |user: &User<'_>| match method.as_str() {
            "GET" => user.get(&path).await,
            "POST" => user.post(&path, json!({"amount": "1"})).await,
            "PUT" => user.put(&path, json!({})).await,
            "DELETE" => user.delete(&path).await,
            other => panic!("{other} {path} has no case here"),
        };
        assert_eq!(
            ask(&stranger).await.refusal(),
            (404, "NOT_FOUND"),
            "{method} {path}"
        );
        ask(&owner).await.data();
    }
}

#[tokio::test]
async fn another_users_ids_in_a_body_do_not_exist_either() {
    let world = World::start().await;
    let (owner, stranger) = (world.user("ann").await, world.user("bob").await);
    let (theirs, mine) = (
        owner.desk("grid", "10", "10").await,
        stranger.desk("grid", "10", "10").await,
    );
    let account = json!({"trading_id": theirs.trading, "name": "x", "symbol": "X"});
    assert_eq!(
        stranger.post("/v1/sub-accounts", account).await.refusal(),
        (404, "NOT_FOUND")
    );
    assert_eq!(
        stranger
            .post("/v1/trading-logs", theirs.trade("long"))
            .await
            .refusal(),
        (404, "NOT_FOUND")
    );
    for key in ["stock_account_id", "currency_account_id", "fee_account_id"] {
        for unknown in [theirs.stock.clone(), new_id().to_string()] {
            let mut trade = mine.trade("long");
            trade["info"][key] = json!(unknown);
            assert_eq!(
                stranger.post("/v1/trading-logs", trade).await.refusal(),
                (404, "NOT_FOUND"),
                "{key}"
            );
        }
    }
    for log_type in ["deposit", "withdraw"] {
        let body = json!({"trading_id": mine.trading, "type": log_type, "source": "bot", "message": "",
                          "info": {"account_id": theirs.stock, "amount": "1", "currency": "ETH"}});
        assert_eq!(
            stranger.post("/v1/trading-logs", body).await.refusal(),
            (404, "NOT_FOUND"),
            "{log_type}"
        );
    }
    let note = json!({"trading_id": mine.trading, "type": "note", "source": "bot", "message": "",
                      "sub_account_id": theirs.stock});
    assert_eq!(
        stranger.post("/v1/trading-logs", note).await.refusal(),
        (404, "NOT_FOUND")
    );
    let binding = json!({"exchange_binding_id": binding(&owner).await});
    let own = format!("/v1/tradings/{}", mine.trading);
    assert_eq!(
        stranger.put(&own, binding).await.refusal(),
        (404, "NOT_FOUND")
    );
    assert_eq!(owner.balance(&theirs.stock).await, "10");
    for list in ["tradings", "sub-accounts", "transactions", "trading-logs"] {
        let key = list.replace('-', "_");
        let seen = stranger.get(&format!("/v1/{list}")).await;
        let all = seen.data()[&key].as_array().expect("a list");
        assert!(
            !all.is_empty() && all.iter().all(|row| row["user_id"] == json!(stranger.id)),
            "{list}"
        );
        let filtered = stranger
            .get(&format!(
                "/v1/{list}?trading_id={}&sub_account_id={}",
                theirs.trading, theirs.stock
            ))
            .await;
        if list != "tradings" {
            assert_eq!(filtered.data()[&key], json!([]), "{list}");
        }
    }
}
