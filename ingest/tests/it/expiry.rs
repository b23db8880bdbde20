//! Holds with an expiry: ingest releases them, with a log, and leaves the others.

use crate::world::{World, drain};
use anyhow::Result;
use serde_json::{Value, json};
use std::cell::RefCell;
use tiris_domain::event::Kind;
use tiris_ingest::upkeep::expiry;
use uuid::Uuid;

const LOCKED: &str = "SELECT coalesce(string_agg(order_id || ' ' || trim_scale(amount), ', ' ORDER BY order_id), 'none') \
    FROM holds";
const LOGS: &str = "SELECT coalesce(string_agg(concat_ws(' ', order_id, message, source), '; ' ORDER BY order_id), 'none') \
    FROM trading_logs WHERE type = 'hold_expired'";

const PAST: &str = "2026-01-02T03:04:05Z";
const FUTURE: &str = "9999-01-01T00:00:00Z";

impl World {
    fn lock_until(&self, amount: &str, order: &str, expires_at: Option<&str>) -> Value {
        let fields = json!({
            "sub_account_id": self.currency, "symbol": "BTC", "amount": amount, "related_order_id": order,
            "expires_at": expires_at,
        });
        self.event(Kind::BalanceLocked, fields)
    }

    async fn text(&self, sql: &'static str) -> Result<String> {
        Ok(sqlx::query_scalar(sql).fetch_one(self.pool()).await?)
    }
}

/// Creates a world whose bot has locked amounts for three orders, one of which has expired.
async fn with_locks() -> Result<World> {
    let world = World::new().await?;
    world.deposit("10").await?;
    let mut lane = world.lane().await?;
    world
        .send_all(&[
            world.lock_until("1", "expired", Some(PAST)),
            world.lock_until("2", "later", Some(FUTURE)),
            world.lock_until("3", "never", None),
        ])
        .await?;
    drain(&mut lane).await?;
    Ok(world)
}

/// Releases what has expired. Returns the number of holds, and the owners that are woken.
async fn round(world: &World) -> Result<(usize, Vec<Uuid>)> {
    let owners = RefCell::new(Vec::new());
    let released = expiry::all(&world.service, |owner| owners.borrow_mut().push(owner.0)).await?;
    Ok((released, owners.into_inner()))
}

#[tokio::test]
async fn an_expired_hold_is_released_with_a_log() -> Result<()> {
    let world = with_locks().await?;

    let (released, owners) = round(&world).await?;

    assert_eq!(released, 1);
    assert_eq!(owners, [world.user]);
    assert_eq!(world.text(LOCKED).await?, "later 2, never 3");
    let log = format!("expired hold of 1 BTC expired at {PAST} bot");
    let seen = "SELECT count(*) FROM orders WHERE last_event_time > first_event_time";
    assert_eq!(
        world.number(seen).await?,
        0,
        "an expiry is no event of the order"
    );
    assert_eq!(world.text(LOGS).await?, log);
    world.verify().await?;

    assert_eq!(round(&world).await?.0, 0, "released");
    assert_eq!(world.text(LOGS).await?, log);
    Ok(())
}

#[tokio::test]
async fn the_holds_of_a_disabled_user_wait() -> Result<()> {
    let world = with_locks().await?;
    world
        .execute("UPDATE users SET status = 'disabled'")
        .await?;

    assert_eq!(round(&world).await?.0, 0);
    assert_eq!(world.text(LOGS).await?, "none");

    world.execute("UPDATE users SET status = 'active'").await?;
    round(&world).await?;
    assert_eq!(world.text(LOCKED).await?, "later 2, never 3");
    world.verify().await
}

#[tokio::test]
async fn a_lock_that_comes_first_keeps_its_hold() -> Result<()> {
    let world = with_locks().await?;
    let mut lane = world.lane().await?;
    world
        .send(&world.lock_until("1", "expired", Some(FUTURE)))
        .await?;
    drain(&mut lane).await?;

    assert_eq!(round(&world).await?.0, 0);

    assert_eq!(world.text(LOCKED).await?, "expired 2, later 2, never 3");
    Ok(())
}
