//! Events that name something deleted are rejected at once, and hold up nothing.

use crate::world::{World, drain};
use anyhow::Result;
use serde_json::{Value, json};
use tiris_domain::event::Kind;
use uuid::Uuid;

/// Returns an order that sells ETH at 2000 USDT.
fn sale(world: &World, usdt: Uuid, volume: &str) -> Value {
    let fields = json!({
        "sub_account_id": world.stock,
        "order_id": "y1",
        "symbol": "ETH/USDT",
        "side": "sell",
        "type": "limit",
        "amount": volume,
        "price": "2000",
        "status": "filled",
        "fill": {
            "stock_account_id": world.stock,
            "currency_account_id": usdt,
            "volume": volume,
            "price": "2000",
            "fee": "0.2",
        },
    });
    world.event(Kind::OrderFilled, fields)
}

#[tokio::test]
async fn a_deleted_fee_account_is_named_and_holds_up_no_other_event() -> Result<()> {
    let world = World::new().await?;
    let mut lane = world.lane().await?;
    let usdt = Uuid::now_v7();
    let deleted = Uuid::now_v7();
    world.open_account(usdt, "USDT").await?;
    world.open_account(deleted, "BNB").await?;
    world.send(&world.credit(world.stock, "ETH", "2")).await?;
    drain(&mut lane).await?;
    sqlx::query("UPDATE sub_accounts SET deleted_at = now() WHERE id = $1")
        .bind(deleted)
        .execute(world.pool())
        .await?;
    let mut refused = sale(&world, usdt, "1");
    refused["fill"]["fee"] = json!("0.001");
    refused["fill"]["fee_account_id"] = json!(deleted);

    let applied = sale(&world, usdt, "0.1");
    world.send_all(&[refused, applied]).await?;
    drain(&mut lane).await?;

    let rejected = format!(
        "dead_letters WHERE code = 'ACCOUNT_DELETED' AND class = 'rejected' AND next_attempt_at IS NULL \
         AND reason LIKE '%{deleted}%'"
    );
    world.expect_rows(&rejected, 1).await?;
    world.expect_open(1).await?;
    assert_eq!(world.balance(world.stock).await?, "1.9");
    assert_eq!(world.balance(usdt).await?, "199.8");
    Ok(())
}

#[tokio::test]
async fn a_deleted_account_is_rejected_although_another_of_the_event_waits() -> Result<()> {
    let world = World::new().await?;
    let mut lane = world.lane().await?;
    let early = Uuid::now_v7();
    let deleted = Uuid::now_v7();
    world.open_account(deleted, "EUR").await?;
    world
        .execute("UPDATE sub_accounts SET deleted_at = now() WHERE name = 'EUR'")
        .await?;
    let mut refused = world.fill("1", "0.5");
    refused["fill"]["currency_account_id"] = json!(deleted);

    let waiting = world.fill_with_fee("1", "0.5", early);
    world.send_all(&[waiting, refused]).await?;
    drain(&mut lane).await?;

    world.expect_dead_letters("UNKNOWN_SUB_ACCOUNT", 1).await?;
    world.expect_dead_letters("ACCOUNT_DELETED", 1).await
}

#[tokio::test]
async fn events_of_a_deleted_user_or_trading_are_rejected_at_once() -> Result<()> {
    let world = World::new().await?;
    let mut lane = world.lane().await?;

    for (change, code) in [
        ("UPDATE tradings SET status = 'deleting'", "TRADING_DELETED"),
        ("UPDATE tradings SET status = 'deleted'", "TRADING_DELETED"),
        ("UPDATE users SET status = 'deleted'", "USER_DELETED"),
    ] {
        world.execute(change).await?;
        world.send_credits(1).await?;
        drain(&mut lane).await?;

        let found = format!("dead_letters WHERE code = '{code}' AND class = 'rejected'");
        let count = world.count(&found).await?;
        assert!(count > 0, "{change}");
    }

    world.expect_rows("dead_letters WHERE blocks", 0).await?;
    world.expect_rows("dead_letters", 3).await
}
