//! Sessions: role and status come from the database, not from the token; renewing and ending them.

use crate::world::{User, World, text};
use reqwest::Method;
use serde_json::json;
use sha2::{Digest, Sha256};
use std::net::SocketAddr;
use std::time::Duration;
use tiris_testing::eventually;

/// What the contract promises.
const NOTICED_WITHIN: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_disabled_user_is_told_so_even_though_the_session_is_gone_too() {
    let world = World::start().await;
    let user = world.user("ann").await;
    for statement in [
        "UPDATE users SET status = 'disabled' WHERE id = $1",
        "UPDATE sessions SET revoked_at = now() WHERE user_id = $1",
    ] {
        sqlx::query(statement)
            .bind(user.id.0)
            .execute(world.database.pool())
            .await
            .expect("disabled");
    }
    assert_eq!(
        user.get("/v1/users/me").await.refusal(),
        (403, "ACCOUNT_DISABLED")
    );
}

#[tokio::test]
async fn a_deleted_user_and_an_expired_session_are_signed_out() {
    let world = World::start().await;
    let (ann, bob) = (world.user("ann").await, world.user("bob").await);
    sqlx::query("UPDATE users SET status = 'deleted' WHERE id = $1")
        .bind(ann.id.0)
        .execute(world.database.pool())
        .await
        .expect("deleted");
    sqlx::query("UPDATE sessions SET expires_at = now() WHERE id = $1")
        .bind(bob.session)
        .execute(world.database.pool())
        .await
        .expect("expired");
    for user in [ann, bob] {
        assert_eq!(
            user.get("/v1/users/me").await.refusal(),
            (401, "INVALID_TOKEN")
        );
    }
}

#[tokio::test]
async fn a_revoked_session_stops_within_ten_seconds_also_when_it_was_just_used() {
    let world = World::start().await;
    let user = world.user("ann").await;
    user.get("/v1/users/me").await.data();
    sqlx::query("UPDATE sessions SET revoked_at = now() WHERE id = $1")
        .bind(user.session)
        .execute(world.database.pool())
        .await
        .expect("revoked");
    eventually("the token is refused", NOTICED_WITHIN, async || {
        let answer = user.get("/v1/users/me").await;
        anyhow::ensure!(answer.status == 401, "still {}", answer.status);
        Ok(())
    })
    .await
    .expect("refused");
}

/// Gives a session a refresh token.
async fn renewable(user: &User<'_>, token: &str) {
    sqlx::query("UPDATE sessions SET refresh_token_hash = $2 WHERE id = $1")
        .bind(user.session)
        .bind(Sha256::digest(token).to_vec())
        .execute(user.world.database.pool())
        .await
        .expect("a refresh token");
}

async fn refuses(user: &User<'_>, address: SocketAddr) {
    eventually("the token is refused", NOTICED_WITHIN, async || {
        let answer = user
            .send_at(address, Method::GET, "/v1/users/me", None)
            .await;
        anyhow::ensure!(answer.status == 401, "still {}", answer.status);
        Ok(())
    })
    .await
    .expect("refused");
}

#[tokio::test]
async fn signing_out_is_noticed_at_once_here_and_within_ten_seconds_by_every_other_replica() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let other = world.replica().await;
    let elsewhere = User {
        session: world.session(user.id).await,
        token: String::new(),
        ..world.user("bob").await
    };
    let elsewhere = User {
        token: world.token(user.id, elsewhere.session, chrono::Duration::hours(1)),
        id: user.id,
        ..elsewhere
    };
    for address in [world.address, other] {
        user.send_at(address, Method::GET, "/v1/users/me", None)
            .await
            .data();
    }
    let left = user.send(Method::POST, "/v1/auth/logout", None).await;
    assert_eq!(left.data()["message"], "You are signed out.");
    assert_eq!(
        user.get("/v1/users/me").await.refusal(),
        (401, "INVALID_TOKEN")
    );
    refuses(&user, other).await;
    elsewhere.get("/v1/users/me").await.data();
    assert_eq!(
        world.audited(&user.session.to_string()).await,
        ["session.end"]
    );
}

#[tokio::test]
async fn a_refresh_token_gives_access_again_and_again_until_its_session_ends() {
    let world = World::start().await;
    let mut user = world.user("ann").await;
    renewable(&user, "the-refresh-token").await;
    let body = json!({"refresh_token": "the-refresh-token"});
    for _ in 0..2 {
        let answer = world.post("/v1/auth/refresh", body.clone()).await;
        assert_eq!(
            (answer.header("cache-control"), answer.header("etag")),
            ("no-store", "")
        );
        let tokens = answer.data();
        assert_eq!(
            tokens["refresh_token"], "the-refresh-token",
            "the same one stays valid"
        );
        assert_eq!(
            (&tokens["token_type"], &tokens["expires_in"]),
            (&json!("Bearer"), &json!(3600))
        );
        user.token = text(&tokens["access_token"]);
        assert_eq!(user.get("/v1/users/me").await.data()["username"], "ann");
    }
    user.send(Method::POST, "/v1/auth/logout", None)
        .await
        .data();
    assert_eq!(
        world.post("/v1/auth/refresh", body).await.refusal(),
        (401, "INVALID_TOKEN")
    );
}

#[tokio::test]
async fn a_wrong_refresh_token_is_refused_and_a_disabled_user_is_told_so() {
    let world = World::start().await;
    let user = world.user("ann").await;
    renewable(&user, "the-refresh-token").await;
    let refresh = async |token: &str| {
        world
            .post("/v1/auth/refresh", json!({"refresh_token": token}))
            .await
    };
    assert_eq!(refresh("another").await.refusal(), (401, "INVALID_TOKEN"));
    assert_eq!(
        refresh(&user.token).await.refusal(),
        (401, "INVALID_TOKEN"),
        "an access token is none"
    );
    assert_eq!(
        refresh(&"a".repeat(513)).await.refusal(),
        (400, "INVALID_VALUE")
    );
    assert_eq!(
        world.post("/v1/auth/refresh", json!({})).await.refusal(),
        (400, "MISSING_FIELD")
    );
    world
        .run(
            "UPDATE sessions SET expires_at = now() WHERE id = $1",
            user.session,
        )
        .await;
    assert_eq!(
        refresh("the-refresh-token").await.refusal(),
        (401, "INVALID_TOKEN")
    );
    world
        .run(
            "UPDATE users SET status = 'disabled' WHERE id = $1",
            user.id.0,
        )
        .await;
    assert_eq!(
        refresh("the-refresh-token").await.refusal(),
        (403, "ACCOUNT_DISABLED")
    );
}
