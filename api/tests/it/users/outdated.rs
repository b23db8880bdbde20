//! What a session may still do that a process has cached, after its user was disabled or lost a role.

use super::ME;
use crate::world::World;
use serde_json::json;
use uuid::Uuid;

/// Asserts the status of a user in the database.
async fn assert_status(world: &World, user: Uuid, expected: &str) {
    let found: String = sqlx::query_scalar("SELECT status FROM users WHERE id = $1")
        .bind(user)
        .fetch_one(world.pool())
        .await
        .expect("a status");

    assert_eq!(found, expected);
}

#[tokio::test]
async fn a_disabled_user_cannot_delete_themselves() {
    let world = World::start().await;
    let ann = world.user("ann").await;
    ann.get(ME).await.data();
    ann.set_status("disabled").await;

    let refused = ann.delete(ME).await;

    refused.assert_error(403, "ACCOUNT_DISABLED");
    assert_status(&world, ann.id.0, "disabled").await;
}

#[tokio::test]
async fn a_disabled_admin_enables_nobody() {
    let world = World::start().await;
    let root = world.admin("root").await;
    let enable = format!("/v1/users/{}/enable", root.id);
    root.get(ME).await.data();
    root.set_status("disabled").await;

    let refused = root.put(&enable, json!({})).await;

    refused.assert_error(403, "ACCOUNT_DISABLED");
    assert_status(&world, root.id.0, "disabled").await;
}

#[tokio::test]
async fn a_former_admin_changes_nothing() {
    let world = World::start().await;
    let root = world.admin("root").await;
    let ann = world.user("ann").await;
    root.get(ME).await.data();
    let revoke = "UPDATE users SET role = 'user' WHERE id = $1";
    world.run(revoke, root.id.0).await;

    let disable = format!("/v1/users/{}/disable", ann.id);
    let range = json!({"start_time": "2026-01-01T00:00:00Z", "end_time": "2026-01-02T00:00:00Z"});
    let log = format!("/v1/trading-logs/{}", Uuid::nil());
    for refused in [
        root.put(&disable, json!({})).await,
        root.post("/v1/events/replay", range).await,
        root.delete(&log).await,
    ] {
        refused.assert_error(403, "ACCESS_DENIED");
    }

    assert_status(&world, ann.id.0, "active").await;
}

#[tokio::test]
async fn the_token_of_a_disabled_user_is_not_looked_up_each_time() {
    let world = World::start().await;
    let root = world.admin("root").await;
    let ann = world.user("ann").await;
    let disable = format!("/v1/users/{}/disable", ann.id);
    root.put(&disable, json!({})).await.data();
    ann.get(ME).await.assert_error(403, "ACCOUNT_DISABLED");

    // A request that reads the database would succeed.
    ann.set_status("active").await;
    let revive = "UPDATE sessions SET revoked_at = NULL WHERE user_id = $1";
    world.run(revive, ann.id.0).await;

    ann.get(ME).await.assert_error(403, "ACCOUNT_DISABLED");
}
