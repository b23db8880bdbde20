//! The users of a lane take turns with their retries.

use super::{STEPS_MAX, codes_and_statuses, make_due};
use crate::world::{Account, LANES, World, advances, drain, step};
use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use tiris_domain::lane::lane_of;
use uuid::Uuid;

/// A user with an event about an account that was opened later.
struct Early {
    user: Uuid,
    account: Uuid,
}

impl Early {
    /// Adds the first of the users `numbers` who shares the lane of the world's user.
    async fn new(world: &World, mut numbers: impl Iterator<Item = u128>) -> Result<Self> {
        let lane = lane_of(world.user, LANES);
        let mut ids = numbers.by_ref().map(Uuid::from_u128);
        let user = ids.find(|id| lane_of(*id, LANES) == lane);
        let user = user.context("a user of the lane")?;
        let account = Uuid::now_v7();
        world.add_user(user, &user.to_string()).await?;
        world.add_trading(user, user).await?;

        let mut event = world.credit(account, "BTC", "1");
        event["user_id"] = json!(user);
        event["trading_id"] = json!(user);
        let subject = format!("trading.balance.updated.{user}");
        world.publish(&subject, &event).await?;
        Ok(Self { user, account })
    }

    async fn open(&self, world: &World) -> Result<()> {
        let account = Account {
            user: self.user,
            trading: self.user,
            id: self.account,
            symbol: "BTC",
        };
        world.add_account(account).await
    }
}

#[tokio::test]
async fn an_event_that_fails_again_and_again_leaves_others_their_turn() -> Result<()> {
    let world = World::new().await?;
    let mut lane = world.lane().await?;
    let account = Uuid::now_v7();
    let mut failing = world.credit(account, "BNB", "1");
    failing["reason"] = json!("boom");
    world.send(&failing).await?;
    let others = [
        Early::new(&world, 1..100).await?,
        Early::new(&world, (u128::MAX - 100)..u128::MAX).await?,
    ];
    drain(&mut lane).await?;
    world.expect_open(3).await?;

    // Like a full disk.
    world
        .execute(
            "CREATE FUNCTION fill_up() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN IF NEW.reason = 'boom' THEN RAISE EXCEPTION 'full' USING ERRCODE = '53100'; END IF; RETURN NEW; END $$; \
             CREATE TRIGGER fill_up BEFORE INSERT ON transactions FOR EACH ROW EXECUTE FUNCTION fill_up()",
        )
        .await?;
    world.open_account(account, "BNB").await?;
    for other in &others {
        other.open(&world).await?;
    }
    make_due(&world).await?;
    let expected = [
        "UNKNOWN_SUB_ACCOUNT open",
        "UNKNOWN_SUB_ACCOUNT replayed",
        "UNKNOWN_SUB_ACCOUNT replayed",
    ];
    let mut steps = 0;
    while codes_and_statuses(&world).await? != expected && steps < STEPS_MAX {
        step(&mut lane).await;
        steps += 1;
    }

    assert_eq!(codes_and_statuses(&world).await?, expected);
    Ok(())
}

#[tokio::test]
async fn new_events_do_not_wait_for_all_retries() -> Result<()> {
    let world = World::new().await?;
    let mut lane = world.lane().await?;
    let unknown = (0..400).map(|_| world.credit(Uuid::now_v7(), "BTC", "1"));
    world.send_burst(&Vec::from_iter(unknown)).await?;
    drain(&mut lane).await?;
    world.expect_open(400).await?;

    world.send_credits(1).await?;
    world
        .execute("UPDATE dead_letters SET attempts = 0, next_attempt_at = now() - interval '1 s'")
        .await?;
    while world.btc().await? != "2" {
        advances(&mut lane).await?;
    }

    let retried = world.count("dead_letters WHERE attempts > 0").await?;
    ensure!(retried < 200, "{retried} retries came first");
    Ok(())
}
