//! Admins delete trading logs, but none that moved money.

use crate::world::{World, text};
use serde_json::{Value, json};
use tiris_domain::ids::new_id;

#[tokio::test]
async fn an_admin_deletes_a_log_that_moved_nothing_and_no_other() {
    let world = World::start().await;
    let (user, root) = (world.user("ann").await, world.admin("root").await);
    let desk = user.desk("grid", "10", "10").await;
    let note = json!({"trading_id": desk.trading, "type": "note", "source": "bot", "message": "a secret plan",
                      "sub_account_id": desk.stock});
    let note = text(&user.post("/v1/trading-logs", note).await.data()["id"]);
    let trade = text(
        &user
            .post("/v1/trading-logs", desk.trade("long"))
            .await
            .data()["id"],
    );
    let path = |id: &str| format!("/v1/trading-logs/{id}");
    assert_eq!(
        user.delete(&path(&note)).await.refusal(),
        (403, "ACCESS_DENIED")
    );
    assert_eq!(
        root.delete(&path(&trade)).await.refusal(),
        (409, "LOG_MOVED_MONEY")
    );
    assert_eq!(
        root.delete(&path(&note)).await.data(),
        &json!({"message": "The trading log is deleted."})
    );
    for unknown in [
        note.clone(),
        new_id().to_string(),
        "00000000-0000-4000-8000-000000000000".to_owned(),
    ] {
        assert_eq!(
            root.delete(&path(&unknown)).await.refusal(),
            (404, "NOT_FOUND"),
            "{unknown}"
        );
    }
    assert_eq!(user.get(&path(&note)).await.refusal(), (404, "NOT_FOUND"));
    user.get(&path(&trade)).await.data();
    assert_eq!(world.audited(&note).await, ["trading_log.delete"]);
    let (by, before): (uuid::Uuid, Value) = sqlx::query_as(
        "SELECT user_id, before FROM audit_logs WHERE action = 'trading_log.delete'",
    )
    .fetch_one(world.database.pool())
    .await
    .expect("an audit row");
    assert_eq!(
        (by, &before["type"], &before["user_id"]),
        (root.id.0, &json!("note"), &json!(user.id))
    );
    assert_eq!(user.balance(&desk.stock).await, "12");
    world.verify().await;
}
