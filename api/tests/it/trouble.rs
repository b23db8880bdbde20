//! Behaviour with an unavailable or slow database.

use crate::world::World;
use crate::world::settings::settings;
use std::time::Duration;
use tiris_testing::{eventually, free_port};

#[tokio::test]
async fn reports_an_unavailable_database() {
    let port = free_port().expect("a port");
    let world = World::start_with(|changed| {
        let nowhere = format!("postgres://tiris@127.0.0.1:{port}/tiris");
        changed.database = settings(&nowhere, changed.key_files[0].clone()).database;
    })
    .await;

    assert_eq!(world.anonymous("/health/live").await.status, 200);

    let ready = world.anonymous("/health/ready").await;
    ready.assert_error(503, "SERVICE_UNAVAILABLE");
    assert_eq!(ready.body["error"]["details"], "failing: database");

    let user = world.user("ann").await;

    let answer = user.get("/v1/tradings").await;
    answer.assert_error(503, "DATABASE_UNAVAILABLE");

    for answer in [&ready, &answer] {
        assert_eq!(answer.header("retry-after"), "2", "{answer}");
    }
    for secret in ["127.0.0.1", "postgres", "refused", "sqlx"] {
        answer.assert_lacks(secret);
    }
}

#[tokio::test]
async fn a_timed_out_request_changes_nothing() {
    let world =
        World::start_with(|settings| settings.request_timeout = Duration::from_secs(3)).await;
    let user = world.user("ann").await;
    let book = user.book("grid", "1", "0").await;
    let holder = world.lock_account(&book.stock).await;

    let late = user.deposit(&book.stock, "1").await;
    late.assert_error(503, "SERVICE_UNAVAILABLE");

    holder.rollback().await.expect("released");
    user.deposit(&book.stock, "2").await.data();
    assert_eq!(user.balance(&book.stock).await, "3");
}

#[tokio::test]
async fn requests_without_a_free_connection_get_retry_after() {
    let world = World::start_with(|settings| {
        // Two of the connections are for lists.
        settings.database.max_connections = 4;
        settings.database.acquire_timeout = Duration::from_secs(1);
    })
    .await;
    let user = world.user("ann").await;
    let book = user.book("grid", "1", "0").await;
    let holder = world.lock_account(&book.stock).await;

    let (first, second, refused) = tokio::join!(
        user.deposit(&book.stock, "1"),
        user.deposit(&book.stock, "1"),
        async {
            world.locks_are_waited_for(2).await;
            let refused = user.get("/v1/tradings").await;
            holder.rollback().await.expect("released");
            refused
        }
    );

    refused.assert_error(503, "DATABASE_UNAVAILABLE");
    assert_eq!(refused.header("retry-after"), "2");
    first.data();
    second.data();
    user.get("/v1/tradings").await.data();
    assert_eq!(user.balance(&book.stock).await, "3");
}

#[tokio::test]
async fn replaces_connections_that_the_database_closed() {
    let world = World::start().await;
    let user = world.user("ann").await;

    user.get("/v1/tradings").await.data();
    world
        .execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
         WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )
        .await;

    eventually("an answer", Duration::from_secs(10), async || {
        let answer = user.get("/v1/tradings").await;
        if answer.status.is_success() {
            return Ok(());
        }
        answer.assert_error(503, "DATABASE_UNAVAILABLE");
        anyhow::bail!("still {}", answer.status)
    })
    .await
    .expect("new connections");
}
