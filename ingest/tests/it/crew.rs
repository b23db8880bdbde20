//! Several workers at once: fair shares, takeover, and a worker that comes back from the dead.

use crate::process::{LEASE_SECONDS, Worker};
use crate::world::{LANES, WAIT, World};
use anyhow::{Result, ensure};
use nix::sys::signal::Signal;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tiris_testing::eventually;
use uuid::Uuid;

/// What a busy machine may add to a time limit of the database.
const MARGIN: Duration = Duration::from_secs(5);
/// Lanes of both streams.
const ALL_LANES: i64 = 2 * (LANES as i64 + 1);

fn start(world: &World) -> Result<Worker> {
    Worker::start(world.database.url(), &world.nats.url())
}

/// How many lanes each owner has; free ones under none.
async fn owners(world: &World) -> Result<BTreeMap<Option<Uuid>, i64>> {
    let rows: Vec<(Option<Uuid>, i64)> =
        sqlx::query_as("SELECT owner, count(*) FROM ingest_lanes GROUP BY owner")
            .fetch_all(world.pool())
            .await?;
    Ok(rows.into_iter().collect())
}

/// Waits until all lanes are shared by exactly `workers` workers, none with more than its share.
async fn shared_by(world: &World, workers: i64) -> Result<()> {
    eventually("fair shares", WAIT, async || {
        let owners = owners(world).await?;
        let share = (ALL_LANES + workers - 1) / workers;
        ensure!(!owners.contains_key(&None), "free lanes: {owners:?}");
        ensure!(i64::try_from(owners.len())? == workers, "{owners:?}");
        ensure!(owners.values().all(|count| *count <= share), "{owners:?}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn workers_share_the_lanes_and_one_that_ends_cleanly_gives_its_own_back_at_once() -> Result<()>
{
    let world = World::new().await?;
    let mut first = start(&world)?;
    first.ready().await?;
    shared_by(&world, 1).await?;
    let mut second = start(&world)?;
    let mut third = start(&world)?;
    shared_by(&world, 3).await?;
    second.ready().await?;
    third.ready().await?;
    world.send_credits(20).await?;
    world.balance_reaches(world.currency, "20").await?;
    first.stops().await?;
    let owners = owners(&world).await?;
    ensure!(
        owners.len() <= 3,
        "the lanes of a worker that ended: {owners:?}"
    );
    shared_by(&world, 2).await?;
    world.send_credits(20).await?;
    world.balance_reaches(world.currency, "40").await?;
    world
        .expect_count("SELECT count(*) FROM ingest_workers", 2)
        .await?;
    second.stops().await?;
    third.stops().await?;
    world
        .expect_count("SELECT count(*) FROM ingest_workers", 0)
        .await?;
    world
        .expect_count(
            "SELECT count(*) FROM ingest_lanes WHERE owner IS NOT NULL",
            0,
        )
        .await
}

#[tokio::test]
async fn the_lanes_of_a_killed_worker_go_to_the_others_when_its_lease_ends() -> Result<()> {
    let world = World::new().await?;
    let mut first = start(&world)?;
    let mut second = start(&world)?;
    shared_by(&world, 2).await?;
    first.process.kill().await?;
    world.send_credits(20).await?;
    world.balance_reaches(world.currency, "20").await?;
    shared_by(&world, 1).await?;
    second.stops().await
}

#[tokio::test]
async fn a_worker_stopped_past_its_lease_and_continued_writes_nothing_twice_and_blocks_nobody()
-> Result<()> {
    let world = World::new().await?;
    let mut sleeper = start(&world)?;
    sleeper.ready().await?;
    world.send_credits(5).await?;
    world.balance_reaches(world.currency, "5").await?;
    sleeper.process.signal(Signal::SIGSTOP)?;
    let mut other = start(&world)?;
    world.send_credits(5).await?;
    world.balance_reaches(world.currency, "10").await?;
    shared_by(&world, 1).await?;
    sleeper.process.signal(Signal::SIGCONT)?;
    world.send_credits(5).await?;
    shared_by(&world, 2).await?;
    world.send_credits(5).await?;
    world.balance_reaches(world.currency, "20").await?;
    world
        .expect_count("SELECT count(*) FROM transactions", 20)
        .await?;
    world
        .expect_count("SELECT count(*) FROM dead_letters", 0)
        .await?;
    sleeper.stops().await?;
    other.stops().await
}

/// Sessions of workers that wait for a lock somebody else holds.
const WAITS_FOR_A_LOCK: &str = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
    AND application_name = 'tiris-ingest' AND wait_event_type = 'Lock' AND query LIKE '%sub_accounts%'";

#[tokio::test]
async fn a_worker_stopped_between_the_lock_of_its_lane_and_its_commit_blocks_nobody_for_long_and_writes_nothing()
-> Result<()> {
    let world = World::new().await?;
    let mut sleeper = start(&world)?;
    world.send_credits(5).await?;
    world.balance_reaches(world.currency, "5").await?;
    let epoch = "SELECT max(epoch) FROM ingest_lanes WHERE stream = 'TRADING' AND cursor > 0";
    let before = world.count(epoch).await?;
    // Whoever holds the account's row stops the worker's transaction behind the lock of the lane.
    let mut busy = world.pool().begin().await?;
    sqlx::query("SELECT FROM sub_accounts WHERE id = $1 FOR UPDATE")
        .bind(world.currency)
        .execute(&mut *busy)
        .await?;
    world.send_credits(1).await?;
    eventually("a transaction in the middle", WAIT, async || {
        world.expect_count(WAITS_FOR_A_LOCK, 1).await
    })
    .await?;
    sleeper.process.signal(Signal::SIGSTOP)?;
    busy.rollback().await?;
    eventually(
        "a session that idles in its transaction",
        WAIT,
        async || {
            let idle = world.count(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
             AND application_name = 'tiris-ingest' AND state = 'idle in transaction'",
            );
            let idle = idle.await?;
            ensure!(idle == 1, "{idle}");
            Ok(())
        },
    )
    .await?;
    let stopped = Instant::now();
    // The rows of lane and account are free after half a lease, for REST too, long before the worker goes on.
    sqlx::query("SELECT FROM ingest_lanes, sub_accounts WHERE cursor > 0 AND id = $1 FOR UPDATE")
        .bind(world.currency)
        .execute(world.pool())
        .await?;
    let blocked = stopped.elapsed();
    ensure!(
        blocked < Duration::from_secs(LEASE_SECONDS) / 2 + MARGIN,
        "blocked for {blocked:?}"
    );
    let mut other = start(&world)?;
    world.balance_reaches(world.currency, "6").await?;
    ensure!(world.count(epoch).await? > before, "nobody took the lane");
    sleeper.process.signal(Signal::SIGCONT)?;
    shared_by(&world, 2).await?;
    world.send_credits(1).await?;
    world.balance_reaches(world.currency, "7").await?;
    world
        .expect_count("SELECT count(*) FROM transactions", 7)
        .await?;
    world
        .expect_count("SELECT count(*) FROM dead_letters", 0)
        .await?;
    sleeper.stops().await?;
    other.stops().await
}
