//! Deleted tradings: what comes for them is put aside, and ingest removes what they held.

use crate::world::{WAIT, World, drain};
use anyhow::{Result, ensure};
use serde_json::json;
use tiris_domain::event::Kind;
use tiris_domain::ids::{TradingId, UserId};
use tiris_ingest::context::Context;
use tiris_ingest::lane::Lane;
use tiris_ingest::upkeep::purge;
use tiris_store::tradings::{self, Purged};
use tiris_testing::{eventually, grow_history};

const POSTINGS: i32 = 11_000;
const UNKNOWN: &str =
    "SELECT count(*) FROM dead_letters WHERE code = 'UNKNOWN_TRADING' AND status = 'open'";
/// Beside the audit trail and what the broker's messages became.
const LEFT: &str = "SELECT (SELECT count(*) FROM transactions) + (SELECT count(*) FROM trading_logs) \
    + (SELECT count(*) FROM holds) + (SELECT count(*) FROM sub_accounts) + (SELECT count(*) FROM tradings)";

async fn delete(world: &World) -> Result<()> {
    let mut transaction = world.pool().begin().await?;
    tradings::delete(
        &mut transaction,
        UserId(world.user),
        TradingId(world.trading),
    )
    .await?;
    transaction.commit().await?;
    Ok(())
}

async fn verify(world: &World) -> Result<()> {
    let report =
        tiris_migrations::verify(world.database.url(), &indicatif::ProgressBar::hidden()).await?;
    ensure!(report.is_clean(), "{report:?}");
    Ok(())
}

#[tokio::test]
async fn a_purge_that_was_cut_off_is_gone_on_with_while_events_still_arrive() -> Result<()> {
    let world = World::new().await?;
    grow_history(world.pool(), world.stock, POSTINGS).await?;
    let mut lane = Lane::seize(world.context(), world.own_lane().await?).await?;
    drain(&mut lane).await;
    let hold = json!({"sub_account_id": world.currency, "symbol": "BTC", "amount": "0.5"});
    world
        .send(Kind::BalanceLocked, &world.with(Kind::BalanceLocked, hold))
        .await?;
    drain(&mut lane).await;
    delete(&world).await?;
    let mut cut_off = world.pool().begin().await?;
    let purged = tradings::purge_some(&mut cut_off, TradingId(world.trading), 2_000).await?;
    ensure!(purged == Purged::Some, "{purged:?}");
    // While somebody is at a piece, nobody else is, and events go by.
    ensure!(purge::all(world.pool()).await? == 0, "two at once");
    world.send_credits(3).await?;
    drain(&mut lane).await;
    cut_off.rollback().await?;
    verify(&world).await?;
    world
        .expect_count("SELECT count(*) FROM transactions", i64::from(POSTINGS) + 1)
        .await?;

    let mut piece = world.pool().begin().await?;
    tradings::purge_some(&mut piece, TradingId(world.trading), 2_000).await?;
    piece.commit().await?;
    verify(&world).await?;
    ensure!(
        purge::all(world.pool()).await? == 1,
        "the trading is still there"
    );
    world.expect_count(LEFT, 0).await?;
    world.send_credits(2).await?;
    drain(&mut lane).await;
    world.expect_count(LEFT, 0).await?;
    verify(&world).await?;
    // None of the five was tried on a trading that lived; those behind the first wait for it.
    world.expect_count(UNKNOWN, 1).await?;
    world
        .expect_count(
            "SELECT count(*) FROM dead_letters WHERE code = 'BEHIND_UNRESOLVED'",
            4,
        )
        .await?;
    // The ids of what was applied stay: a late duplicate is one.
    world
        .expect_count(
            "SELECT count(*) FROM processed_events WHERE outcome = 'applied'",
            2,
        )
        .await
}

#[tokio::test]
async fn deleting_while_events_are_booked_loses_none_of_them_and_leaves_no_row() -> Result<()> {
    const EVENTS: i64 = 120;
    let world = World::new().await?;
    for number in 0..EVENTS {
        if number % 2 == 0 {
            world.send_credits(1).await?;
        } else {
            // Names no account, so that only the trading itself can be held meanwhile.
            let fields = json!({"error_code": "E1", "error_message": "m", "severity": "low", "component": "c"});
            world
                .send(Kind::Error, &world.with(Kind::Error, fields))
                .await?;
        }
    }
    let context = Context {
        batch_events: 3,
        ..world.context()
    };
    let booked = world.run_with(context, "every event", async || {
        world
            .expect_count("SELECT count(*) FROM processed_events", EVENTS)
            .await
    });
    let deleted = async {
        eventually("the first events", WAIT, async || {
            ensure!(
                world.count("SELECT count(*) FROM processed_events").await? > 0,
                "none"
            );
            Ok(())
        })
        .await?;
        delete(&world).await?;
        anyhow::Ok(purge::all(world.pool()).await?)
    };
    let (booked, deleted) = tokio::join!(booked, deleted);
    booked?;
    ensure!(deleted? == 1, "the trading is still there");
    world.expect_count(LEFT, 0).await?;
    let applied = world
        .count("SELECT count(*) FROM processed_events WHERE outcome = 'applied'")
        .await?;
    ensure!(
        (1..EVENTS).contains(&applied),
        "{applied} applied: the deletion came too early or too late"
    );
    world
        .expect_count("SELECT count(*) FROM dead_letters", EVENTS - applied)
        .await?;
    verify(&world).await
}
