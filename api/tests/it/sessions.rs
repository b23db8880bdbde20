//! Sessions: role and status come from the database, not from the token; refresh and sign-out.

use crate::world::{User, World, text};
use reqwest::Method;
use serde_json::json;
use sha2::{Digest, Sha256};
use std::net::SocketAddr;
use std::time::Duration;
use tiris_testing::eventually;

/// Guaranteed by the API contract.
const NOTICED_WITHIN: Duration = Duration::from_secs(10);

const ME: &str = "/v1/users/me";
const REFRESH: &str = "/v1/auth/refresh";

async fn revoke(user: &User<'_>) {
    let revoke = "UPDATE sessions SET revoked_at = now() WHERE id = $1";
    user.world.run(revoke, user.session).await;
}

async fn expire(user: &User<'_>) {
    let expire = "UPDATE sessions SET expires_at = now() WHERE id = $1";
    user.world.run(expire, user.session).await;
}

#[tokio::test]
async fn reports_a_disabled_user_even_without_a_session() {
    let world = World::start().await;
    let user = world.user("ann").await;
    user.set_status("disabled").await;
    revoke(&user).await;

    let answer = user.get(ME).await;

    answer.assert_error(403, "ACCOUNT_DISABLED");
}

#[tokio::test]
async fn rejects_deleted_users_and_expired_sessions() {
    let world = World::start().await;
    let ann = world.user("ann").await;
    let bob = world.user("bob").await;

    ann.set_status("deleted").await;
    expire(&bob).await;

    for user in [ann, bob] {
        user.get(ME).await.assert_error(401, "INVALID_TOKEN");
    }
}

#[tokio::test]
async fn a_revoked_session_stops_within_ten_seconds() {
    let world = World::start().await;
    let user = world.user("ann").await;
    // Caches the session.
    user.get(ME).await.data();

    revoke(&user).await;

    refuses(&user, world.address).await;
}

/// Sets the refresh token of a session.
async fn renewable(user: &User<'_>, token: &str) {
    sqlx::query("UPDATE sessions SET refresh_token_hash = $2 WHERE id = $1")
        .bind(user.session)
        .bind(Sha256::digest(token).to_vec())
        .execute(user.world.pool())
        .await
        .expect("a refresh token");
}

/// Waits until a replica refuses the token.
async fn refuses(user: &User<'_>, address: SocketAddr) {
    eventually("the token is refused", NOTICED_WITHIN, async || {
        let answer = user.send_at(address, Method::GET, ME, None).await;
        anyhow::ensure!(answer.status == 401, "still {}", answer.status);
        Ok(())
    })
    .await
    .expect("refused");
}

#[tokio::test]
async fn a_sign_out_reaches_every_replica_within_ten_seconds() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let replica = world.replica().await;
    for address in [world.address, replica] {
        let me = user.send_at(address, Method::GET, ME, None).await;
        me.data();
    }

    let left = user.post_empty("/v1/auth/logout").await;

    assert_eq!(left.data()["message"], "You are signed out.");
    user.get(ME).await.assert_error(401, "INVALID_TOKEN");
    refuses(&user, replica).await;
    let session = user.session.to_string();
    assert_eq!(world.audited(&session).await, ["session.end"]);
}

#[tokio::test]
async fn a_sign_out_keeps_other_sessions_of_the_user() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let other = world.session(user.id).await;
    let other = world.token(user.id, other, chrono::Duration::hours(1));

    user.post_empty("/v1/auth/logout").await.data();

    world.get_as(&other, ME).await.data();
}

#[tokio::test]
async fn a_refresh_token_works_until_its_session_ends() {
    let world = World::start().await;
    let user = world.user("ann").await;
    renewable(&user, "the-refresh-token").await;
    let body = json!({"refresh_token": "the-refresh-token"});

    for _ in 0..2 {
        let answer = world.post(REFRESH, body.clone()).await;
        answer.assert_not_cached();
        let tokens = answer.data();
        assert_eq!(tokens["refresh_token"], "the-refresh-token");
        assert_eq!(tokens["token_type"], "Bearer");
        assert_eq!(tokens["expires_in"], 3600);
        let me = world.get_as(&text(&tokens["access_token"]), ME).await;
        assert_eq!(me.data()["username"], "ann");
    }

    user.post_empty("/v1/auth/logout").await.data();
    let ended = world.post(REFRESH, body).await;
    ended.assert_error(401, "INVALID_TOKEN");
}

#[tokio::test]
async fn rejects_a_wrong_refresh_token() {
    let world = World::start().await;
    let user = world.user("ann").await;
    renewable(&user, "the-refresh-token").await;
    let token = |token: &str| json!({"refresh_token": token});

    for (body, status, code) in [
        (token("another"), 401, "INVALID_TOKEN"),
        // An access token.
        (token(&user.token), 401, "INVALID_TOKEN"),
        (token(&"a".repeat(513)), 400, "INVALID_VALUE"),
        (json!({}), 400, "MISSING_FIELD"),
    ] {
        world.post(REFRESH, body).await.assert_error(status, code);
    }
}

#[tokio::test]
async fn a_refresh_token_ends_with_its_session_and_its_user() {
    let world = World::start().await;
    let user = world.user("ann").await;
    renewable(&user, "the-refresh-token").await;
    let body = json!({"refresh_token": "the-refresh-token"});

    expire(&user).await;
    let expired = world.post(REFRESH, body.clone()).await;
    expired.assert_error(401, "INVALID_TOKEN");

    user.set_status("disabled").await;
    let disabled = world.post(REFRESH, body).await;
    disabled.assert_error(403, "ACCOUNT_DISABLED");
}
