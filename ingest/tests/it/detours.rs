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

/// Publishes a flood between two events of a neighbour.
async fn publish(world: &World, neighbour: &Neighbour, flood: &[Value]) -> Result<()> {
    world.send_burst(&[neighbour.credit(world)]).await?;
    world.send_burst(flood).await?;
    world.send_burst(&[neighbour.credit(world)]).await
}

/// Publishes a flood of the world's user between two events of a neighbour, and steps until the neighbour is served.
async fn overtaken(world: &World, lane: &mut Lane, neighbour: &Neighbour) -> Result<()> {
    publish(world, neighbour, &flood(world)).await?;
    while !neighbour.is_served(world, "2").await? {
        advances(lane).await?;
    }
    Ok(())
}

/// Publishes the same, and steps until the detour begins.
async fn detoured(world: &World, lane: &mut Lane, neighbour: &Neighbour) -> Result<()> {
    publish(world, neighbour, &flood(world)).await?;
    while world.count("lane_detours").await? == 0 {
        advances(lane).await?;
    }
    Ok(())
}

async fn all_are_processed(world: &World) -> Result<()> {
    world.expect_rows("dead_letters", 0).await?;
    all_are_booked(world).await
}

async fn all_are_booked(world: &World) -> Result<()> {
    world.expect_rows("lane_detours", 0).await?;
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
    detoured(&world, &mut lane, &neighbour).await?;

    let mut next = seize(limited(&world), id).await?;
    drain(&mut next).await?;

    all_are_processed(&world).await
}

/// The lane processes messages of an unknown type itself, because their subject names no publisher.
#[tokio::test]
async fn messages_of_an_unknown_type_end_no_detour_early() -> Result<()> {
    const UNKNOWN: usize = 20;
    let world = World::new().await?;
    let neighbour = Neighbour::new(&world).await?;
    let mut lane = world.lane_with(limited(&world)).await?;
    let mut flood = flood(&world);
    let unknown = json!({"event_type": "trading.orders.foo", "user_id": world.user});
    flood.splice(PAIRS..PAIRS, std::iter::repeat_n(unknown, UNKNOWN));

    publish(&world, &neighbour, &flood).await?;
    drain(&mut lane).await?;

    let letters = i64::try_from(UNKNOWN)?;
    world
        .expect_dead_letters("UNKNOWN_SUBJECT", letters)
        .await?;
    all_are_booked(&world).await
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
async fn no_user_is_passed_over_while_detours_may_not_begin() -> Result<()> {
    let world = World::new().await?;
    let neighbour = Neighbour::new(&world).await?;
    let context = limited(&world);
    context.detours.set(false);
    let mut lane = world.lane_with(context).await?;

    overtaken(&world, &mut lane, &neighbour).await?;

    all_are_processed(&world).await
}

#[tokio::test]
async fn a_lane_that_reads_its_stream_again_has_no_detours() -> Result<()> {
    let world = World::new().await?;
    let neighbour = Neighbour::new(&world).await?;
    let id = world.own_lane().await?;
    let mut lane = seize(limited(&world), id).await?;
    detoured(&world, &mut lane, &neighbour).await?;

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
