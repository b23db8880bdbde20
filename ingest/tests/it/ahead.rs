//! What comes while a batch is committed.

use crate::world::{WAIT, World, drain};
use anyhow::{Result, ensure};
use futures_util::TryStreamExt;
use sqlx::{PgPool, Postgres, Transaction};
use std::sync::atomic::{AtomicU64, Ordering};
use tiris_domain::event::Kind;
use tiris_domain::lane::EventStream;
use tiris_ingest::context::Context;
use tiris_ingest::lane::{Counts, Lane, Step};
use tiris_testing::eventually;
use tokio_util::sync::CancellationToken;

const ONE: Counts = Counts {
    applied: 1,
    duplicate: 0,
    dead: 0,
    drift: 0,
};

/// Keeps every lane from committing until it is dropped.
async fn hold_back(pool: &PgPool) -> Result<Transaction<'static, Postgres>> {
    let mut holder = pool.begin().await?;
    sqlx::query("SELECT FROM ingest_lanes FOR UPDATE")
        .execute(&mut *holder)
        .await?;
    Ok(holder)
}

/// Publishes a credit of 1 BTC; answers with its number in the stream.
async fn send_one(world: &World) -> Result<u64> {
    world
        .send(
            Kind::BalanceUpdated,
            &world.credit(world.currency, "BTC", "1"),
        )
        .await
}

/// Told over the connection the messages come by: when it is told, they are here.
async fn delivered(world: &World, seq: u64) -> Result<()> {
    eventually("everything is delivered", WAIT, async || -> Result<()> {
        let stream = world
            .jetstream()
            .get_stream(EventStream::Trading.name())
            .await?;
        let consumers: Vec<_> = stream.consumers().try_collect().await?;
        let most = consumers
            .iter()
            .map(|consumer| consumer.delivered.stream_sequence)
            .max();
        ensure!(most == Some(seq), "{consumers:?}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn the_next_batch_is_read_while_one_is_committed() -> Result<()> {
    let mut world = World::new().await?;
    // A batch that is full asks for nothing more.
    let context = Context {
        batch_events: 1,
        ..world.context()
    };
    let mut lane = Lane::seize(context, world.own_lane().await?).await?;
    assert_eq!(drain(&mut lane).await, Step::Idle);
    let holder = hold_back(&world.pool().clone()).await?;
    world.send_credits(1).await?;
    let last = send_one(&world).await?;
    let stop = CancellationToken::new();
    let (step, gone) = tokio::join!(lane.step(&stop), async {
        delivered(&world, last).await?;
        world.nats.kill().await?;
        holder.rollback().await?;
        anyhow::Ok(())
    });
    gone?;
    assert_eq!(step, Step::Committed(ONE));
    assert_eq!(
        lane.step(&stop).await,
        Step::Committed(ONE),
        "read before NATS was gone"
    );
    assert_eq!(lane.cursor(), last);
    let step = lane.step(&stop).await;
    ensure!(matches!(step, Step::Waiting(_)), "{step:?}");
    assert_eq!(world.balance(world.currency).await?, "3");
    Ok(())
}

#[tokio::test]
async fn what_was_read_ahead_by_a_reader_that_is_given_up_comes_again_and_is_read_once()
-> Result<()> {
    let mut world = World::new().await?;
    let mut lane = Lane::seize(world.context(), world.own_lane().await?).await?;
    assert_eq!(drain(&mut lane).await, Step::Idle);
    let holder = hold_back(&world.pool().clone()).await?;
    let first = send_one(&world).await?;
    let stop = CancellationToken::new();
    let (step, gone) = tokio::join!(lane.step(&stop), async {
        delivered(&world, first).await?;
        world.send_credits(2).await?;
        delivered(&world, send_one(&world).await?).await?;
        world.nats.kill().await?;
        world.nats.restart().await?;
        holder.rollback().await?;
        anyhow::Ok(())
    });
    gone?;
    ensure!(matches!(step, Step::Committed(_)), "{step:?}");
    let again = AtomicU64::new(0);
    eventually("everything is applied", WAIT, async || -> Result<()> {
        if let Step::Committed(counts) = lane.step(&stop).await {
            again.fetch_add(counts.duplicate, Ordering::Relaxed);
        }
        ensure!(lane.cursor() == first + 3, "at {}", lane.cursor());
        Ok(())
    })
    .await?;
    assert_eq!(again.into_inner(), 0);
    assert_eq!(world.balance(world.currency).await?, "5");
    Ok(())
}
