//! Users who exceed their quota: others go first, and everything of theirs is processed once and in order.

use crate::world::{Account, LANES, World, advances, drain, seize};
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tiris_domain::lane::lane_of;
use tiris_ingest::context::Context;
use tiris_ingest::lane::Lane;
use tiris_ingest::settings::Quota;
use uuid::Uuid;

/// Twenty messages at once, and two hundred a minute.
const QUOTA: Quota = Quota {
    events_per_minute: Some(200),
    bytes_per_minute: None,
};
const PAIRS: usize = 150;

fn limited(world: &World) -> Context {
    Context {
        quota: QUOTA,
        ..world.context()
    }
}

/// A user in the lane of the world's user.
struct Neighbour {
    user: Uuid,
    account: Uuid,
}

impl Neighbour {
    async fn new(world: &World) -> Result<Self> {
        let lane = lane_of(world.user, LANES);
        let mut ids = (1..100).map(Uuid::from_u128);
        let user = ids.find(|id| lane_of(*id, LANES) == lane);
        let user = user.context("a user of the lane")?;
        let account = Uuid::now_v7();
        world.add_user(user, "neighbour").await?;
        world.add_trading(user, user).await?;
        world
            .add_account(Account {
                user,
                trading: user,
                id: account,
                symbol: "BTC",
            })
            .await?;
        Ok(Self { user, account })
    }

    fn credit(&self, world: &World) -> Value {
        let mut event = world.credit(self.account, "BTC", "1");
        event["user_id"] = json!(self.user);
        event["trading_id"] = json!(self.user);
        event
    }

    async fn is_served(&self, world: &World, credits: &str) -> Result<bool> {
        Ok(world.balance(self.account).await? == credits)
    }
}

/// Returns debits of everything, each followed by a credit: in another order they would be refused.
fn flood(world: &World) -> Vec<Value> {
    let pairs = (0..PAIRS).flat_map(|_| [world.btc_debit("1"), world.btc_credit("1")]);
    pairs.collect()
}

/// Publishes a flood of the world's user between two events of a neighbour, and steps until the neighbour is served.
async fn overtaken(world: &World, lane: &mut Lane, neighbour: &Neighbour) -> Result<()> {
    world.send_burst(&[neighbour.credit(world)]).await?;
    world.send_burst(&flood(world)).await?;
    world.send_burst(&[neighbour.credit(world)]).await?;

    while !neighbour.is_served(world, "2").await? {
        advances(lane).await?;
    }
    Ok(())
}

async fn all_are_processed(world: &World) -> Result<()> {
    world.expect_rows("lane_detours", 0).await?;
    world.expect_rows("dead_letters", 0).await?;
    assert_eq!(world.btc().await?, "1");
    let booked = i64::try_from(PAIRS)? * 2 + 3;
    world.expect_rows("transactions", booked).await?;
    world.verify().await
}

#[tokio::test]
async fn a_user_over_the_quota_delays_no_other() -> Result<()> {
    let world = World::new().await?;
    let neighbour = Neighbour::new(&world).await?;
    let mut lane = world.lane_with(limited(&world)).await?;

    overtaken(&world, &mut lane, &neighbour).await?;

    let mine = format!("transactions WHERE user_id = '{}'", world.user);
    let first = world.count(&mine).await?;
    ensure!(first < 100, "{first} of the flood came first");
    let passed = world.number("SELECT behind FROM lane_detours").await?;
    ensure!(passed > 200, "only {passed} are passed over");

    drain(&mut lane).await?;
    all_are_processed(&world).await
}

#[tokio::test]
async fn another_owner_continues_a_detour() -> Result<()> {
    let world = World::new().await?;
    let neighbour = Neighbour::new(&world).await?;
    let id = world.own_lane().await?;
    let mut lane = seize(limited(&world), id).await?;
    overtaken(&world, &mut lane, &neighbour).await?;

    let mut next = seize(limited(&world), id).await?;
    world.expect_rows("lane_detours", 1).await?;
    drain(&mut next).await?;

    all_are_processed(&world).await
}

#[tokio::test]
async fn without_a_quota_no_user_is_passed_over() -> Result<()> {
    let world = World::new().await?;
    let neighbour = Neighbour::new(&world).await?;
    let unlimited = Context {
        quota: Quota::default(),
        ..world.context()
    };
    let mut lane = world.lane_with(unlimited).await?;

    overtaken(&world, &mut lane, &neighbour).await?;

    let mine = format!("transactions WHERE user_id = '{}'", world.user);
    let booked = i64::try_from(PAIRS)? * 2 + 1;
    world.expect_rows(&mine, booked).await?;
    all_are_processed(&world).await
}

#[tokio::test]
async fn the_stream_keeps_the_flood_of_a_disabled_user() -> Result<()> {
    let world = World::new().await?;
    let id = world.own_lane().await?;
    let unlimited = || Context {
        quota: Quota::default(),
        ..world.context()
    };
    let mut lane = seize(unlimited(), id).await?;
    drain(&mut lane).await?;

    world
        .execute("UPDATE users SET status = 'disabled'")
        .await?;
    let long = |_| {
        let mut event = world.btc_credit("1");
        event["note"] = "x".repeat(50_000).into();
        event
    };
    let events: Vec<Value> = (0..100).map(long).collect();
    world.send_burst(&events).await?;
    drain(&mut lane).await?;
    drain(&mut seize(unlimited(), id).await?).await?;

    let letters = "SELECT sum(octet_length(payload))::bigint FROM dead_letters";
    let stored = world.number(letters).await?;
    ensure!(stored < 3_000_000, "{stored} bytes of dead letters");
    world.expect_rows("lane_detours", 1).await?;

    world.execute("UPDATE users SET status = 'active'").await?;
    let mut lane = seize(unlimited(), id).await?;
    while world.count("transactions").await? < 101 {
        advances(&mut lane).await?;
    }
    drain(&mut lane).await?;
    world.expect_rows("lane_detours", 0).await?;
    let open = "dead_letters WHERE status = 'open'";
    world.expect_rows(open, 0).await?;
    world.verify().await
}

#[tokio::test]
async fn a_lane_that_reads_its_stream_again_has_no_detours() -> Result<()> {
    let world = World::new().await?;
    let neighbour = Neighbour::new(&world).await?;
    let id = world.own_lane().await?;
    let mut lane = seize(limited(&world), id).await?;
    overtaken(&world, &mut lane, &neighbour).await?;
    world.expect_rows("lane_detours", 1).await?;

    let start = tiris_store::lanes::Restart {
        kind: "tail_lost",
        cursor: 0,
        reuses_sequences: false,
        stream_created_at: world.stream_created_at().await?,
    };
    let mut connection = world.pool().acquire().await?;
    tiris_store::lanes::restart(&mut connection, id, start).await?;
    drop(connection);

    world.expect_rows("lane_detours", 0).await?;
    drain(&mut seize(limited(&world), id).await?).await?;
    all_are_processed(&world).await
}
