//! Role and status come from the database, not from the token.

use crate::world::World;
use std::time::Duration;
use tiris_shared::testing::eventually;

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
        sqlx::query(statement).bind(user.id).execute(world.database.pool()).await.expect("disabled");
    }
    assert_eq!(user.get("/v1/users/me").await.refusal(), (403, "ACCOUNT_DISABLED"));
}

#[tokio::test]
async fn a_deleted_user_and_an_expired_session_are_signed_out() {
    let world = World::start().await;
    let (ann, bob) = (world.user("ann").await, world.user("bob").await);
    sqlx::query("UPDATE users SET status = 'deleted' WHERE id = $1")
        .bind(ann.id)
        .execute(world.database.pool())
        .await
        .expect("deleted");
    sqlx::query("UPDATE sessions SET expires_at = now() WHERE id = $1")
        .bind(bob.session)
        .execute(world.database.pool())
        .await
        .expect("expired");
    for user in [ann, bob] {
        assert_eq!(user.get("/v1/users/me").await.refusal(), (401, "INVALID_TOKEN"));
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
