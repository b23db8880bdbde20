//! Authorization: every operation with every kind of invalid token and with the ids of other users.

mod tokens;

use crate::access::tokens::wrong_tokens;
use crate::bindings::new_binding;
use crate::events::fixtures::store_rejected;
use crate::exchanges::{Exchanges, KEY};
use crate::openapi::operations;
use crate::world::book::Book;
use crate::world::orders::NewOrder;
use crate::world::{User, World, text};
use reqwest::Method;
use serde_json::{Value, json};
use tiris_domain::ids::new_id;

/// Operations without a token.
const OPEN: [&str; 6] = [
    "POST /v1/auth/login",
    "POST /v1/auth/callback",
    "POST /v1/auth/refresh",
    "GET /",
    "GET /health/live",
    "GET /health/ready",
];

#[tokio::test]
async fn every_operation_rejects_every_invalid_token() {
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
        let ask =
            async |headers: &[(&str, &str)]| world.ask(method.clone(), &path, headers, None).await;

        let anonymous = ask(&[]).await;
        anonymous.assert_error(401, "AUTH_REQUIRED");
        assert_eq!(anonymous.header("www-authenticate"), "Bearer");

        let basic = ask(&[("authorization", "Basic YTpi")]).await;
        basic.assert_error(401, "AUTH_REQUIRED");

        for (fault, token) in &tokens {
            let bearer = format!("Bearer {token}");
            let answer = ask(&[("authorization", &bearer)]).await;
            assert_eq!(
                answer.refusal(),
                (401, "INVALID_TOKEN"),
                "{fault}: {answer}"
            );
        }
    }

    assert_eq!(open, OPEN, "no other operation is public");
}

/// Returns whether only admins may call an operation, by its description.
fn is_for_admins(operation: &Value) -> bool {
    let description = operation["responses"]["403"]["description"].as_str();
    description.is_some_and(|text| text.contains("`ACCESS_DENIED`: the caller is not an admin"))
}

/// Operations that only admins may call.
const FOR_ADMINS: [&str; 8] = [
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
async fn operations_for_admins_reject_other_users() {
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
        answer.assert_error(403, "ACCESS_DENIED");
    }
    found.sort_by_key(|name| name.split(' ').rev().map(str::to_owned).collect::<Vec<_>>());

    assert_eq!(found, FOR_ADMINS);
}

/// A path of the OpenAPI document and the id of a resource there.
pub(crate) type Resource = (&'static str, String);

/// Returns a resource of the owner for every path with an id.
pub(crate) async fn resources(owner: &User<'_>, book: &Book) -> Vec<Resource> {
    let log = owner.log(book.trade("long")).await;
    let letter = store_rejected(owner, book, 1, "1").await;
    let order = owner.order(book, NewOrder::default()).await;

    vec![
        ("/v1/events/dead-letters/{id}", letter.to_string()),
        ("/v1/tradings/{id}", book.trading.clone()),
        ("/v1/sub-accounts/{id}", book.stock.clone()),
        (
            "/v1/transactions/{id}",
            text(&log.data()["transaction_ids"][0]),
        ),
        (
            "/v1/trading-logs/trading/{trading_id}",
            book.trading.clone(),
        ),
        ("/v1/trading-logs/{id}", log.id()),
        ("/v1/orders/{id}", order),
    ]
}

/// Creates the only binding of the user.
async fn binding(user: &User<'_>) -> String {
    let delete = "UPDATE exchange_bindings SET status = 'deleted' WHERE user_id = $1";
    user.world.run(delete, user.id.0).await;

    user.post("/v1/exchange-bindings", new_binding("mine", "kraken", KEY))
        .await
        .id()
}

/// Returns the path of a new resource of the owner, for operations that delete it or need a special one.
pub(crate) async fn own_resource(owner: &User<'_>, method: &str, path: &str) -> Option<String> {
    let id = match (method, path) {
        (_, path) if path.starts_with("/v1/exchange-bindings/{id}") => binding(owner).await,
        (
            "POST",
            "/v1/events/dead-letters/{id}/replay" | "/v1/events/dead-letters/{id}/discard",
        ) => {
            let book = owner.book(&new_id().to_string(), "10", "10").await;
            let seq = i64::from(rand::random::<u32>());
            store_rejected(owner, &book, seq, "1").await.to_string()
        }
        ("DELETE", "/v1/sessions/{id}") => owner.world.session(owner.id).await.to_string(),
        ("DELETE", "/v1/tradings/{id}") => owner.book("to be deleted", "1", "1").await.trading,
        ("DELETE", "/v1/sub-accounts/{id}") => owner.book("empty", "0", "0").await.stock,
        ("DELETE", "/v1/sub-accounts/{id}/holds") => {
            let book = owner.book("held", "1", "1").await;
            owner.world.hold(&book.stock, "o1", "0.5").await;
            return Some(format!("/v1/sub-accounts/{}/holds?order_id=o1", book.stock));
        }
        _ => return None,
    };
    Some(path.replace("{id}", &id))
}

/// Returns the path of an operation on a resource of the owner.
pub(crate) async fn path_of(
    owner: &User<'_>,
    resources: &[Resource],
    method: &str,
    path: &str,
) -> String {
    if let Some(path) = own_resource(owner, method, path).await {
        return path;
    }

    let (prefix, id) = resources
        .iter()
        .find(|(prefix, _)| path.starts_with(prefix))
        .unwrap_or_else(|| panic!("{method} {path} has no case here"));
    path.replace(&prefix[prefix.find('{').expect("a parameter")..], id)
}

#[tokio::test]
async fn resources_of_other_users_are_not_found() {
    let exchanges = Exchanges::start().await;
    let world = World::start_with(|settings| settings.exchanges = exchanges.settings(false)).await;
    let owner = world.user("ann").await;
    let stranger = world.user("bob").await;
    let book = owner.book("grid", "10", "10").await;
    let resources = resources(&owner, &book).await;

    let of_users = operations()
        .into_iter()
        .filter(|(_, path, operation)| path.contains('{') && !is_for_admins(operation));
    for (method, path, _) in of_users {
        let path = path_of(&owner, &resources, &method, &path).await;
        let ask = async |user: &User<'_>| match method.as_str() {
            "GET" => user.get(&path).await,
            "POST" if path.ends_with("/replay") => user.post(&path, json!({})).await,
            "POST" if path.ends_with("/discard") => {
                user.post(&path, json!({"reason": "a test"})).await
            }
            "POST" => user.post(&path, json!({"amount": "1"})).await,
            "PUT" => user.put(&path, json!({})).await,
            "DELETE" => user.delete(&path).await,
            other => panic!("{other} {path} has no case here"),
        };

        ask(&stranger).await.assert_error(404, "NOT_FOUND");
        ask(&owner).await.data();
    }
}

/// Creates the books of two users.
async fn two_books<'w>(world: &'w World) -> [(User<'w>, Book); 2] {
    let owner = world.user("ann").await;
    let theirs = owner.book("grid", "10", "10").await;
    let stranger = world.user("bob").await;
    let mine = stranger.book("grid", "10", "10").await;
    [(owner, theirs), (stranger, mine)]
}

#[tokio::test]
async fn ids_of_other_users_in_a_trading_log_are_not_found() {
    let world = World::start().await;
    let [(owner, theirs), (stranger, mine)] = two_books(&world).await;

    let mut logs = vec![theirs.trade("long")];
    for key in ["stock_account_id", "currency_account_id", "fee_account_id"] {
        for unknown in [theirs.stock.clone(), new_id().to_string()] {
            logs.push(mine.trade_with("long", key, unknown));
        }
    }
    for log_type in ["deposit", "withdraw"] {
        logs.push(
            json!({"trading_id": mine.trading, "type": log_type, "source": "bot", "message": "",
                   "info": {"account_id": theirs.stock, "amount": "1", "currency": "ETH"}}),
        );
    }
    let mut note = mine.note();
    note["sub_account_id"] = json!(theirs.stock);
    logs.push(note);

    for log in logs {
        let answer = stranger.post("/v1/trading-logs", log).await;
        answer.assert_error(404, "NOT_FOUND");
    }
    assert_eq!(owner.balance(&theirs.stock).await, "10");
}

#[tokio::test]
async fn ids_of_other_users_in_other_bodies_are_not_found() {
    let world = World::start().await;
    let [(owner, theirs), (stranger, mine)] = two_books(&world).await;

    let account = json!({"trading_id": theirs.trading, "name": "x", "symbol": "X"});
    let created = stranger.post("/v1/sub-accounts", account).await;
    created.assert_error(404, "NOT_FOUND");

    let change = json!({"exchange_binding_id": binding(&owner).await});
    let trading = format!("/v1/tradings/{}", mine.trading);
    let changed = stranger.put(&trading, change).await;
    changed.assert_error(404, "NOT_FOUND");
}

#[tokio::test]
async fn lists_hold_nothing_of_other_users() {
    let world = World::start().await;
    let [(_, theirs), (stranger, _)] = two_books(&world).await;

    for list in ["tradings", "sub-accounts", "transactions", "trading-logs"] {
        let key = list.replace('-', "_");
        let seen = stranger.get(&format!("/v1/{list}")).await;
        let all = seen.list(&key);
        assert!(!all.is_empty(), "{seen}");
        assert!(
            all.iter().all(|row| row["user_id"] == json!(stranger.id)),
            "{seen}"
        );

        if list != "tradings" {
            let mut filter = format!("trading_id={}", theirs.trading);
            if list != "sub-accounts" {
                filter += &format!("&sub_account_id={}", theirs.stock);
            }
            let filtered = stranger.get(&format!("/v1/{list}?{filter}")).await;
            assert!(filtered.list(&key).is_empty(), "{filtered}");
        }
    }
}
