//! Messages that arrive while a batch is committed.

use crate::world::{WAIT, World, step, waits};
use anyhow::{Result, ensure};
use futures_util::TryStreamExt;
use sqlx::{Postgres, Transaction};
use std::sync::atomic::{AtomicU64, Ordering};
use tiris_domain::lane::EventStream;
use tiris_ingest::context::Context;
use tiris_ingest::lane::{Counts, Lane, Step};
use tiris_testing::eventually;

const ONE: Step = Step::Committed(Counts {
    applied: 1,
    duplicate: 0,
    dead: 0,
    drift: 0,
});

/// Returns a transaction that keeps every lane from committing.
async fn hold_back(world: &World) -> Result<Transaction<'static, Postgres>> {
    let mut holder = world.pool().begin().await?;
    sqlx::query("SELECT FROM ingest_lanes FOR UPDATE")
        .execute(&mut *holder)
        .await?;
    Ok(holder)
}

/// Publishes a credit of 1 BTC. Returns its sequence in the stream.
async fn send_one(world: &World) -> Result<u64> {
    world.send(&world.btc_credit("1")).await
}

/// Waits until the messages up to `sequence` have arrived: the report comes after them on the same connection.
async fn delivered(world: &World, sequence: u64) -> Result<()> {
    eventually("everything is delivered", WAIT, async || -> Result<()> {
        let name = EventStream::Trading.name();
        let stream = world.jetstream().get_stream(name).await?;
        let consumers: Vec<_> = stream.consumers().try_collect().await?;
        let most = consumers
            .iter()
            .map(|consumer| consumer.delivered.stream_sequence)
            .max();
        ensure!(most == Some(sequence), "{consumers:?}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn the_next_batch_is_read_while_one_is_committed() -> Result<()> {
    let mut world = World::new().await?;
    // A full batch takes no more messages.
    let context = Context {
        batch_events: 1,
        ..world.context()
    };
    let mut lane = world.lane_with(context).await?;
    let holder = hold_back(&world).await?;
    world.send_credits(1).await?;
    let last = send_one(&world).await?;

    let (first, gone) = tokio::join!(step(&mut lane), async {
        delivered(&world, last).await?;
        world.nats.kill().await?;
        holder.rollback().await?;
        anyhow::Ok(())
    });

    gone?;
    assert_eq!(first, ONE);
    let second = step(&mut lane).await;
    assert_eq!(second, ONE, "read before NATS was gone");
    assert_eq!(lane.cursor(), last);
    waits(&mut lane).await?;
    assert_eq!(world.btc().await?, "3");
    Ok(())
}

/// Steps until the lane is at `cursor`. Returns the number of duplicates.
async fn step_to(lane: &mut Lane, cursor: u64) -> Result<u64> {
    let duplicates = AtomicU64::new(0);
    eventually("everything is applied", WAIT, async || -> Result<()> {
        if let Step::Committed(counts) = step(lane).await {
            duplicates.fetch_add(counts.duplicate, Ordering::Relaxed);
        }
        ensure!(lane.cursor() == cursor, "at {}", lane.cursor());
        Ok(())
    })
    .await?;
    Ok(duplicates.into_inner())
}

#[tokio::test]
async fn messages_read_ahead_by_a_lost_reader_are_applied_once() -> Result<()> {
    let mut world = World::new().await?;
    let mut lane = world.lane().await?;
    let holder = hold_back(&world).await?;
    let first = send_one(&world).await?;

    let (committed, gone) = tokio::join!(step(&mut lane), async {
        delivered(&world, first).await?;
        world.send_credits(2).await?;
        delivered(&world, send_one(&world).await?).await?;
        world.nats.kill().await?;
        world.nats.restart().await?;
        holder.rollback().await?;
        anyhow::Ok(())
    });
    gone?;
    let is_committed = matches!(committed, Step::Committed(_));
    ensure!(is_committed, "{committed:?}");

    assert_eq!(step_to(&mut lane, first + 3).await?, 0);
    assert_eq!(world.btc().await?, "5");
    Ok(())
}
