//! Several workers at once: fair shares, takeover, and a worker that continues after its lease has ended.

use crate::worker::{LEASE_SECONDS, Worker};
use crate::world::{LANES, WAIT, World};
use anyhow::{Result, ensure};
use nix::sys::signal::Signal;
use sqlx::{Postgres, Transaction};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tiris_testing::eventually;
use uuid::Uuid;

/// Tolerance for time limits of the database on a busy machine.
const MARGIN: Duration = Duration::from_secs(5);
/// Lanes of both streams.
const ALL_LANES: i64 = 2 * (LANES as i64 + 1);

/// Counts the lanes of each owner; free ones under None.
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
async fn workers_share_the_lanes_and_give_them_back_when_they_end() -> Result<()> {
    let world = World::new().await?;
    let mut first = world.ready_worker().await?;
    shared_by(&world, 1).await?;

    let mut second = world.worker()?;
    let mut third = world.worker()?;
    shared_by(&world, 3).await?;
    second.ready().await?;
    third.ready().await?;
    world.send_credits(20).await?;
    world.btc_reaches("20").await?;

    first.stops().await?;
    let owners = owners(&world).await?;
    ensure!(
        owners.len() <= 3,
        "the lanes of a worker that ended: {owners:?}"
    );
    shared_by(&world, 2).await?;
    world.send_credits(20).await?;
    world.btc_reaches("40").await?;
    world.expect_rows("ingest_workers", 2).await?;

    second.stops().await?;
    third.stops().await?;
    world.expect_rows("ingest_workers", 0).await?;
    world
        .expect_rows("ingest_lanes WHERE owner IS NOT NULL", 0)
        .await
}

/// A worker of a version without detours, which lives on.
const EARLIER_WORKER: &str = "INSERT INTO ingest_workers (id, owner_token, alive_until, version, host) \
    VALUES (gen_random_uuid(), gen_random_uuid(), 'infinity', '0', 'earlier')";
/// A detour in the lane that is given back first.
const DETOUR: &str = "INSERT INTO lane_detours (stream, lane, user_id, stream_created_at, cursor, behind) \
    SELECT stream, lane, gen_random_uuid(), stream_created_at, cursor, 1 FROM ingest_lanes \
    ORDER BY stream DESC, lane DESC LIMIT 1";

#[tokio::test]
async fn a_lane_with_detours_is_not_given_to_an_earlier_worker() -> Result<()> {
    let world = World::new().await?;
    let mut worker = world.ready_worker().await?;
    shared_by(&world, 1).await?;

    world.execute(DETOUR).await?;
    world.execute(EARLIER_WORKER).await?;

    let free = ALL_LANES / 2;
    eventually("lanes for the earlier worker", WAIT, async || {
        let owners = owners(&world).await?;
        ensure!(owners.get(&None) == Some(&free), "{owners:?}");
        Ok(())
    })
    .await?;
    let kept = "ingest_lanes JOIN lane_detours USING (stream, lane) WHERE owner IS NOT NULL";
    world.expect_rows(kept, 1).await?;
    worker.stops().await
}

#[tokio::test]
async fn the_lanes_of_a_killed_worker_go_to_the_others_when_its_lease_ends() -> Result<()> {
    let world = World::new().await?;
    let mut first = world.worker()?;
    let mut second = world.worker()?;
    shared_by(&world, 2).await?;

    first.process.kill().await?;
    world.send_credits(20).await?;

    world.btc_reaches("20").await?;
    shared_by(&world, 1).await?;
    second.stops().await
}

#[tokio::test]
async fn a_worker_continued_after_its_lease_writes_nothing_twice() -> Result<()> {
    let world = World::new().await?;
    let mut sleeper = world.ready_worker().await?;
    world.send_credits(5).await?;
    world.btc_reaches("5").await?;

    sleeper.process.signal(Signal::SIGSTOP)?;
    let mut other = world.worker()?;
    world.send_credits(5).await?;
    world.btc_reaches("10").await?;
    shared_by(&world, 1).await?;

    sleeper.process.signal(Signal::SIGCONT)?;
    world.send_credits(5).await?;
    shared_by(&world, 2).await?;
    world.send_credits(5).await?;

    world.btc_reaches("20").await?;
    world.expect_rows("transactions", 20).await?;
    world.expect_rows("dead_letters", 0).await?;
    sleeper.stops().await?;
    other.stops().await
}

/// Sessions of workers that wait for a lock.
const WAITS_FOR_A_LOCK: &str = "pg_stat_activity WHERE datname = current_database() \
    AND application_name = 'tiris-ingest' AND wait_event_type = 'Lock' AND query LIKE '%sub_accounts%'";

const IDLES_IN_A_TRANSACTION: &str = "pg_stat_activity WHERE datname = current_database() \
    AND application_name = 'tiris-ingest' AND state = 'idle in transaction'";

/// The epoch of the lane with messages.
const EPOCH: &str = "SELECT max(epoch) FROM ingest_lanes WHERE stream = 'TRADING' AND cursor > 0";

/// Locks the row of the user's account, so that a worker's transaction waits after it has locked its lane.
async fn hold_account(world: &World) -> Result<Transaction<'static, Postgres>> {
    let mut holder = world.pool().begin().await?;
    sqlx::query("SELECT FROM sub_accounts WHERE id = $1 FOR UPDATE")
        .bind(world.currency)
        .execute(&mut *holder)
        .await?;
    Ok(holder)
}

/// Suspends the worker between the lock of its lane and its commit.
async fn stop_in_a_transaction(world: &World, worker: &mut Worker) -> Result<()> {
    let holder = hold_account(world).await?;
    world.send_credits(1).await?;
    world.rows_reach(WAITS_FOR_A_LOCK, 1).await?;

    worker.process.signal(Signal::SIGSTOP)?;
    holder.rollback().await?;
    world.rows_reach(IDLES_IN_A_TRANSACTION, 1).await
}

/// Returns how long the rows of lane and account are locked.
async fn locked_for(world: &World) -> Result<Duration> {
    let begun = Instant::now();
    sqlx::query("SELECT FROM ingest_lanes, sub_accounts WHERE cursor > 0 AND id = $1 FOR UPDATE")
        .bind(world.currency)
        .execute(world.pool())
        .await?;
    Ok(begun.elapsed())
}

#[tokio::test]
async fn a_worker_suspended_in_a_transaction_soon_blocks_nothing() -> Result<()> {
    let world = World::new().await?;
    let mut sleeper = world.worker()?;
    world.send_credits(5).await?;
    world.btc_reaches("5").await?;
    let epoch = world.number(EPOCH).await?;

    stop_in_a_transaction(&world, &mut sleeper).await?;

    // Free after half a lease, for REST too, long before the worker continues.
    let locked = locked_for(&world).await?;
    let limit = Duration::from_secs(LEASE_SECONDS) / 2 + MARGIN;
    ensure!(locked < limit, "locked for {locked:?}");

    let mut other = world.worker()?;
    world.btc_reaches("6").await?;
    ensure!(
        world.number(EPOCH).await? > epoch,
        "no worker took the lane"
    );

    sleeper.process.signal(Signal::SIGCONT)?;
    shared_by(&world, 2).await?;
    world.send_credits(1).await?;
    world.btc_reaches("7").await?;
    world.expect_rows("transactions", 7).await?;
    world.expect_rows("dead_letters", 0).await?;
    sleeper.stops().await?;
    other.stops().await
}
