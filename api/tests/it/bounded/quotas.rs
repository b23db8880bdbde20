//! Quotas: how many tradings, sub-accounts and bindings a user may have.

use crate::world::{Answer, User, World};
use futures_util::future::join_all;
use serde_json::json;

async fn world_with(tradings: u32, accounts: u32, bindings: u32) -> World {
    World::start_with(|settings| {
        settings.protection.quotas.tradings = tradings;
        settings.protection.quotas.accounts = accounts;
        settings.protection.quotas.bindings = bindings;
    })
    .await
}

async fn create(user: &User<'_>, name: &str) -> Answer {
    user.post("/v1/tradings", json!({"name": name, "type": "paper"}))
        .await
}

#[tokio::test]
async fn concurrent_requests_do_not_exceed_a_quota() {
    let world = world_with(3, 10, 10).await;
    let user = world.user("ann").await;
    let names = ["a", "b", "c", "d", "e", "f", "g", "h"];

    let answers = join_all(names.iter().map(|name| create(&user, name))).await;

    let refused: Vec<&Answer> = answers
        .iter()
        .filter(|answer| !answer.status.is_success())
        .collect();
    assert_eq!(refused.len(), names.len() - 3);
    for answer in refused {
        answer.assert_error(409, "QUOTA_EXCEEDED");
        answer.assert_details("at most 3 tradings, and has 3");
    }

    let first = user.get("/v1/tradings?limit=1").await.list("tradings")[0]["id"].clone();
    let path = format!("/v1/tradings/{}", first.as_str().expect("an id"));
    user.delete(&path).await.data();
    create(&user, "next").await.assert_status(201);
    let other = world.user("bob").await;
    create(&other, "a").await.assert_status(201);
}

#[tokio::test]
async fn sub_accounts_and_bindings_have_quotas() {
    let world = world_with(10, 3, 1).await;
    let user = world.user("ann").await;
    let book = user.book("grid", "0", "0").await;
    let account = |name: &str| json!({"trading_id": book.trading, "name": name, "symbol": "ETH"});
    let binding = |name: &str| json!({"name": name, "exchange_type": "virtual"});

    user.post("/v1/sub-accounts", account("third")).await.data();
    let fourth = user.post("/v1/sub-accounts", account("fourth")).await;
    let together =
        json!({"name": "x", "type": "paper", "sub_accounts": [{"name": "a", "symbol": "ETH"}]});
    let with_trading = user.post("/v1/tradings", together).await;
    user.post("/v1/exchange-bindings", binding("one"))
        .await
        .data();
    let second = user.post("/v1/exchange-bindings", binding("two")).await;

    for (answer, details) in [
        (fourth, "at most 3 sub-accounts, and has 3"),
        (with_trading, "at most 3 sub-accounts, and has 3"),
        (second, "at most 1 exchange bindings, and has 1"),
    ] {
        answer.assert_error(409, "QUOTA_EXCEEDED");
        answer.assert_details(details);
    }
}
