//! Filters of trading logs, and their deletion by admins.

mod of_account;

use crate::world::book::Book;
use crate::world::{Answer, User, World};
use serde_json::{Value, json};
use tiris_domain::ids::new_id;
use uuid::Uuid;

/// Creates a log without postings, and returns its path.
async fn note(user: &User<'_>, book: &Book) -> String {
    let mut note = book.note();
    note["sub_account_id"] = json!(book.stock);
    format!("/v1/trading-logs/{}", user.log(note).await.id())
}

#[tokio::test]
async fn an_admin_deletes_a_log_without_postings() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let root = world.admin("root").await;
    let book = user.book("grid", "10", "10").await;
    let path = note(&user, &book).await;

    let deleted = root.delete(&path).await;

    let message = json!({"message": "The trading log is deleted."});
    assert_eq!(deleted.data(), &message);
    user.get(&path).await.assert_error(404, "NOT_FOUND");
    world.verify().await;
}

#[tokio::test]
async fn the_audit_trail_records_a_deleted_log() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let root = world.admin("root").await;
    let book = user.book("grid", "10", "10").await;
    let path = note(&user, &book).await;

    root.delete(&path).await.data();

    let id = path.rsplit('/').next().expect("an id");
    assert_eq!(
        world.audited(id).await,
        ["trading_log.create", "trading_log.delete"]
    );
    let rows: Vec<(Uuid, Value)> = world
        .rows("SELECT user_id, before FROM audit_logs WHERE action = 'trading_log.delete'")
        .await;
    let (by, before) = &rows[0];
    assert_eq!(by, &root.id.0);
    assert_eq!(before["type"], "note");
    assert_eq!(before["user_id"], json!(user.id));
}

#[tokio::test]
async fn rejects_deleting_a_log_that_moved_money() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let root = world.admin("root").await;
    let book = user.book("grid", "10", "10").await;
    let trade = user.log(book.trade("long")).await.id();
    let path = format!("/v1/trading-logs/{trade}");

    let refused = root.delete(&path).await;

    refused.assert_error(409, "LOG_MOVED_MONEY");
    user.get(&path).await.data();
    assert_eq!(user.balance(&book.stock).await, "12");
}

#[tokio::test]
async fn only_admins_delete_logs_and_only_existing_ones() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let root = world.admin("root").await;
    let book = user.book("grid", "10", "10").await;
    let path = note(&user, &book).await;

    let denied = user.delete(&path).await;
    denied.assert_error(403, "ACCESS_DENIED");

    root.delete(&path).await.data();
    let unknown = format!("/v1/trading-logs/{}", new_id());
    let without_time = "/v1/trading-logs/00000000-0000-4000-8000-000000000000".to_owned();
    for path in [path, unknown, without_time] {
        root.delete(&path).await.assert_error(404, "NOT_FOUND");
    }
}

/// Returns the messages of the logs in a list.
fn messages(list: &Answer) -> Vec<&str> {
    let logs = list.list("trading_logs").iter();
    logs.map(|log| log["message"].as_str().expect("text"))
        .collect()
}

#[tokio::test]
async fn logs_are_found_by_the_kind_of_their_drift() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = user.book("grid", "0", "0").await;
    for (message, drift) in [
        ("none", None),
        ("balance", Some(vec!["balance"])),
        ("both", Some(vec!["rounded", "overfilled"])),
    ] {
        let id = user.log(book.note()).await.id();
        sqlx::query("UPDATE trading_logs SET message = $2, drift = $3 WHERE id = $1::uuid")
            .bind(id)
            .bind(message)
            .bind(drift)
            .execute(world.pool())
            .await
            .expect("a log");
    }
    let of_trading = format!("/v1/trading-logs/trading/{}", book.trading);

    for path in ["/v1/trading-logs", &of_trading] {
        let all = user.get(path).await;
        let any = user.get(&format!("{path}?drift=any")).await;
        let overfilled = user.get(&format!("{path}?drift=overfilled")).await;
        let ended = user.get(&format!("{path}?drift=order_ended")).await;
        let unknown = user.get(&format!("{path}?drift=wrong")).await;

        assert_eq!(messages(&all)[..3], ["both", "balance", "none"]);
        assert_eq!(messages(&any), ["both", "balance"]);
        assert_eq!(messages(&overfilled), ["both"]);
        assert!(messages(&ended).is_empty(), "{ended}");
        unknown.assert_error(400, "INVALID_VALUE");
        let kinds = json!(["rounded", "overfilled"]);
        assert_eq!(any.list("trading_logs")[0]["drift"], kinds);
        assert_eq!(all.list("trading_logs")[2]["drift"], json!([]));
    }
}
