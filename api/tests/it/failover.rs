//! A failover to a standby, as the API sees it: the old primary stays reachable, but is read-only.

use crate::world::settings::settings;
use crate::world::{Answer, World};
use anyhow::{Result, ensure};
use chrono::Duration;
use reqwest::Method;
use serde_json::json;
use std::time::Duration as Span;
use tiris_domain::ids::{UserId, new_id};
use tiris_testing::{PgServer, Proxy, eventually, scratch_dir};

/// From the promotion until changes work again.
const RECOVERY_LIMIT: Span = Span::from_secs(5);
const NOTICE_LIMIT: Span = Span::from_secs(10);

/// Creates a signed-in user on another server than that of the world, and returns a token.
async fn token(world: &World, server: &PgServer) -> Result<String> {
    let user = UserId(new_id());
    let session = new_id();
    let pool = sqlx::PgPool::connect(&server.url("postgres")).await?;
    sqlx::query(
        "WITH u AS (INSERT INTO users (id, username) VALUES ($1, 'ann')) \
         INSERT INTO sessions (id, user_id, expires_at) VALUES ($2, $1, now() + interval '1 day')",
    )
    .bind(user.0)
    .bind(session)
    .execute(&pool)
    .await?;
    pool.close().await;
    Ok(world.token(user, session, Duration::hours(1)))
}

async fn rename(world: &World, token: &str, name: &str) -> Answer {
    let bearer = format!("Bearer {token}");
    let headers = [
        ("authorization", bearer.as_str()),
        ("content-type", "application/json"),
    ];
    let body = json!({ "full_name": name }).to_string();
    world
        .ask(Method::PUT, "/v1/users/me", &headers, Some(body))
        .await
}

#[tokio::test]
async fn changes_follow_the_primary_without_a_restart() -> Result<()> {
    let folder = scratch_dir("standby")?;
    let primary = PgServer::private().await?;
    tiris_migrations::up(&primary.url("postgres")).await?;
    let standby = primary.standby(folder.path()).await?;
    let switch = Proxy::start(primary.port()).await?;
    let url = format!("postgres://tiris@127.0.0.1:{}/postgres", switch.port);
    let world = World::start_with(|changed| {
        changed.database = settings(&url, changed.key_files[0].clone()).database;
    })
    .await;
    let token = token(&world, &primary).await?;
    rename(&world, &token, "before").await.data();

    primary.fence(&standby).await?;
    let refused = rename(&world, &token, "between").await;
    refused.assert_error(503, "DATABASE_UNAVAILABLE");
    eventually("an API that is not ready", NOTICE_LIMIT, async || {
        let ready = world.anonymous("/health/ready").await;
        ensure!(ready.status == 503, "{}", ready.status);
        Ok(())
    })
    .await?;

    // The old primary keeps its sessions.
    switch.lead_to(standby.port());
    standby.promote().await?;
    eventually("changes", RECOVERY_LIMIT, async || {
        let answer = rename(&world, &token, "after").await;
        ensure!(answer.status == 200, "{answer}");
        let ready = world.anonymous("/health/ready").await;
        ensure!(ready.status == 200, "{ready}");
        Ok(())
    })
    .await?;

    let found = "SELECT count(*) FROM users WHERE full_name = 'after' AND created_at < now()";
    assert_eq!(standby.count(found).await?, 1);
    let kept = "SELECT count(*) FROM users WHERE full_name = 'before'";
    assert_eq!(primary.count(kept).await?, 1);
    Ok(())
}
