//! What happens when the database is away or slow.

use crate::world::{World, settings};
use serde_json::json;
use sqlx::Connection;
use std::time::Duration;
use tiris_testing::{eventually, free_port};

#[tokio::test]
async fn without_a_database_the_api_runs_and_says_what_is_missing() {
    let port = free_port().expect("a port");
    let world = World::start_with(|changed| {
        let nowhere = format!("postgres://tiris@127.0.0.1:{port}/tiris");
        changed.database = settings(&nowhere, changed.key_files[0].clone()).database;
    })
    .await;
    assert_eq!(world.anonymous("/health/live").await.status, 200);
    let ready = world.anonymous("/health/ready").await;
    assert_eq!(ready.refusal(), (503, "SERVICE_UNAVAILABLE"));
    assert_eq!(ready.body["error"]["details"], "failing: database");
    let user = world.user("ann").await;
    let answer = user.get("/v1/tradings").await;
    assert_eq!(answer.refusal(), (503, "DATABASE_UNAVAILABLE"));
    for answer in [&ready, &answer] {
        assert_eq!(answer.header("retry-after"), "2", "{}", answer.text);
    }
    for secret in ["127.0.0.1", "postgres", "refused", "sqlx"] {
        assert!(
            !answer.text.contains(secret),
            "a server error is opaque: {}",
            answer.text
        );
    }
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_answered_and_leaves_nothing_behind() {
    let world =
        World::start_with(|settings| settings.request_timeout = Duration::from_secs(3)).await;
    let user = world.user("ann").await;
    let desk = user.desk("grid", "1", "0").await;
    let path = format!("/v1/sub-accounts/{}/deposit", desk.stock);
    let mut blocker = sqlx::PgConnection::connect(world.database.url())
        .await
        .expect("connected");
    let mut transaction = blocker.begin().await.expect("begun");
    sqlx::query("SELECT FROM sub_accounts WHERE id = $1::uuid FOR UPDATE")
        .bind(&desk.stock)
        .execute(&mut *transaction)
        .await
        .expect("locked");
    assert_eq!(
        user.post(&path, json!({"amount": "1"})).await.refusal(),
        (503, "SERVICE_UNAVAILABLE")
    );
    transaction.rollback().await.expect("released");
    user.post(&path, json!({"amount": "2"})).await.data();
    assert_eq!(
        user.balance(&desk.stock).await,
        "3",
        "the first deposit was rolled back"
    );
}

#[tokio::test]
async fn while_all_connections_are_taken_others_are_told_when_to_come_again() {
    let world = World::start_with(|settings| {
        settings.database.max_connections = 2;
        settings.database.acquire_timeout = Duration::from_secs(1);
    })
    .await;
    let user = world.user("ann").await;
    let desk = user.desk("grid", "1", "0").await;
    let path = format!("/v1/sub-accounts/{}/deposit", desk.stock);
    let mut blocker = sqlx::PgConnection::connect(world.database.url())
        .await
        .expect("connected");
    let mut transaction = blocker.begin().await.expect("begun");
    sqlx::query("SELECT FROM sub_accounts WHERE id = $1::uuid FOR UPDATE")
        .bind(&desk.stock)
        .execute(&mut *transaction)
        .await
        .expect("locked");
    let deposit = || user.post(&path, json!({"amount": "1"}));
    let (first, second, ()) = tokio::join!(deposit(), deposit(), async {
        waiting(&world, 2).await;
        let refused = user.get("/v1/tradings").await;
        assert_eq!(refused.refusal(), (503, "DATABASE_UNAVAILABLE"));
        assert_eq!(refused.header("retry-after"), "2");
        transaction.rollback().await.expect("released");
    });
    for answer in [first, second] {
        answer.data();
    }
    assert_eq!(
        user.get("/v1/tradings").await.status,
        200,
        "connections are free again"
    );
    assert_eq!(user.balance(&desk.stock).await, "3");
}

/// Waits until so many statements wait for a lock.
async fn waiting(world: &World, wanted: i64) {
    let waiting = "SELECT count(*) FROM pg_stat_activity \
                   WHERE datname = current_database() AND wait_event_type = 'Lock'";
    eventually("requests that wait", Duration::from_secs(10), async || {
        let count: i64 = sqlx::query_scalar(waiting)
            .fetch_one(world.database.pool())
            .await?;
        anyhow::ensure!(count == wanted, "{count} wait");
        anyhow::Ok(())
    })
    .await
    .expect("requests that wait");
}

#[tokio::test]
async fn connections_the_database_has_closed_cost_503_at_most_and_are_replaced() {
    let world = World::start().await;
    let user = world.user("ann").await;
    user.get("/v1/tradings").await.data();
    sqlx::query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
         WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )
    .execute(world.database.pool())
    .await
    .expect("closed");
    eventually("an answer", Duration::from_secs(10), async || {
        let answer = user.get("/v1/tradings").await;
        if answer.status.is_success() {
            return Ok(());
        }
        assert_eq!(answer.refusal(), (503, "DATABASE_UNAVAILABLE"));
        anyhow::bail!("still {}", answer.status)
    })
    .await
    .expect("new connections");
}
