//! Deleted tradings: later events become dead letters, and ingest removes their rows.

use crate::world::{WAIT, World, drain};
use anyhow::{Result, ensure};
use tiris_domain::ids::{TradingId, UserId};
use tiris_ingest::context::Context;
use tiris_ingest::lane::Lane;
use tiris_ingest::upkeep::purge;
use tiris_store::tradings::{self, Purged};
use tiris_testing::{Role, eventually, grow_history};

const POSTINGS: i32 = 11_000;
const PIECE: u32 = 2_000;
/// Counts the rows of the trading, without the audit trail and the dead letters.
const LEFT: &str = "SELECT (SELECT count(*) FROM transactions) + (SELECT count(*) FROM trading_logs) \
    + (SELECT count(*) FROM holds) + (SELECT count(*) FROM orders) + (SELECT count(*) FROM sub_accounts) + (SELECT count(*) FROM tradings)";

/// Inserts an order of a trading.
const ORDER: &str = "INSERT INTO orders (id, user_id, trading_id, order_id, ordinal, status, first_event_time, last_event_time, \
        created_at, updated_at) \
    SELECT gen_random_uuid(), user_id, id, 'another', 0, 'open', now(), now(), now(), now() FROM tradings WHERE id = $1";

async fn delete(world: &World) -> Result<()> {
    let api = world.database.pool_as(Role::Api)?;
    let mut transaction = api.begin().await?;
    let trading = TradingId(world.trading);
    tradings::delete(&mut transaction, UserId(world.user), trading).await?;
    transaction.commit().await?;
    Ok(())
}

async fn nothing_is_left(world: &World) -> Result<()> {
    let left = world.number(LEFT).await?;
    ensure!(left == 0, "{left} rows are left");
    Ok(())
}

/// Creates a deleted trading with many postings, a hold and an order, and the lane of its events.
async fn deleted() -> Result<(World, Lane)> {
    let world = World::new().await?;
    grow_history(world.pool(), world.stock, POSTINGS).await?;
    let mut lane = world.lane().await?;
    world.send(&world.lock("0.5")).await?;
    drain(&mut lane).await?;
    sqlx::query(ORDER)
        .bind(world.trading)
        .execute(world.pool())
        .await?;
    delete(&world).await?;
    Ok((world, lane))
}

#[tokio::test]
async fn continues_an_interrupted_purge() -> Result<()> {
    let (world, _) = deleted().await?;
    let trading = TradingId(world.trading);

    let mut cut_off = world.service.begin().await?;
    let purged = tradings::purge_some(&mut cut_off, trading, PIECE).await?;
    ensure!(purged == Purged::Some, "{purged:?}");
    ensure!(
        purge::all(&world.service).await? == 0,
        "two workers purge at once"
    );
    cut_off.rollback().await?;
    world.verify().await?;
    let postings = i64::from(POSTINGS) + 1;
    world.expect_rows("transactions", postings).await?;

    let mut piece = world.service.begin().await?;
    tradings::purge_some(&mut piece, trading, PIECE).await?;
    piece.commit().await?;
    world.verify().await?;

    assert_eq!(purge::all(&world.service).await?, 1);
    nothing_is_left(&world).await?;
    world.verify().await
}

#[tokio::test]
async fn events_of_a_trading_being_purged_become_dead_letters() -> Result<()> {
    let (world, mut lane) = deleted().await?;

    let mut purging = world.service.begin().await?;
    tradings::purge_some(&mut purging, TradingId(world.trading), PIECE).await?;
    world.send_credits(3).await?;
    drain(&mut lane).await?;
    purging.rollback().await?;
    assert_eq!(purge::all(&world.service).await?, 1);
    world.send_credits(2).await?;
    drain(&mut lane).await?;

    nothing_is_left(&world).await?;
    world.verify().await?;
    // It does not come back.
    world.expect_dead_letters("TRADING_DELETED", 3).await?;
    // A purged trading has no row, like one that may still be created; the other event waits behind the first.
    world.expect_dead_letters("UNKNOWN_TRADING", 1).await?;
    world.expect_dead_letters("BEHIND_UNRESOLVED", 1).await?;
    world.expect_open(5).await?;
    // The ids of applied events remain, so that a late duplicate is detected.
    world.expect_events("applied", 2).await
}

/// Publishes pairs of events; the second names no account, so only the trading itself protects it from the purge.
async fn send_events(world: &World, pairs: u32) -> Result<()> {
    for _ in 0..pairs {
        world.send_credits(1).await?;
        world.send(&world.error()).await?;
    }
    Ok(())
}

/// Deletes the trading after the first events are booked. Returns the number of purged tradings.
async fn delete_meanwhile(world: &World) -> Result<u64> {
    eventually("the first events", WAIT, async || {
        let booked = world.count("processed_events").await?;
        ensure!(booked > 0, "none");
        Ok(())
    })
    .await?;
    delete(world).await?;
    Ok(purge::all(&world.service).await?)
}

#[tokio::test]
async fn deleting_while_events_are_booked_loses_none_of_them() -> Result<()> {
    const EVENTS: i64 = 120;
    let world = World::new().await?;
    send_events(&world, 60).await?;
    let context = Context {
        batch_events: 3,
        ..world.context()
    };

    let booking = world.run_with(context, "every event", async || {
        world.expect_rows("processed_events", EVENTS).await
    });
    let (booked, purged) = tokio::join!(booking, delete_meanwhile(&world));
    booked?;

    assert_eq!(purged?, 1);
    nothing_is_left(&world).await?;
    let applied = world
        .count("processed_events WHERE outcome = 'applied'")
        .await?;
    ensure!(
        (1..EVENTS).contains(&applied),
        "{applied} applied: the deletion came too early or too late"
    );
    world.expect_rows("dead_letters", EVENTS - applied).await?;
    world.verify().await
}
