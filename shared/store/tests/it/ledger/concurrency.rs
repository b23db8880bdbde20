//! Concurrent, rolled back and outdated batches.

use crate::world::{World, outcomes, rand_seed};
use anyhow::ensure;
use chrono::{TimeDelta, Utc};
use sqlx::{Postgres, Transaction};
use std::time::Duration;
use tiris_domain::ledger::{Command, OrderStep};
use tiris_store::error::Result;
use tiris_store::ledger::{Batch, apply_batch, assert_fresh, release_expired};
use tiris_testing::eventually;

const LIMIT: Duration = Duration::from_secs(10);
const WORKERS: usize = 6;
const BATCHES: u8 = 8;

/// Applies batches that conflict with those of other workers. Returns the number of applied entries.
async fn work(world: &World, worker: usize) -> usize {
    let mut applied = 0;
    for batch in 0..BATCHES {
        let own = format!("own-{worker}-{batch}");
        let mut entries = vec![
            world.event(&own, 1, world.buy("0.01", "10", None)),
            world.event(&format!("shared-{batch}"), 1, world.credit("1")),
            world.event(&format!("other-{batch}"), 1, world.lock("1", Some("A"))),
        ];
        // Both orders of accounts and of ids.
        if worker.is_multiple_of(2) {
            entries.reverse();
        }

        let outcomes = outcomes(&world.apply(&entries).await);
        let of_batch = outcomes.iter().filter(|outcome| **outcome == "applied");
        applied += of_batch.count();
    }
    applied
}

#[tokio::test]
async fn concurrent_batches_leave_consistent_books() {
    let world = World::new().await;

    let workers = (0..WORKERS).map(|worker| work(&world, worker));
    let applied: usize = futures_util::future::join_all(workers)
        .await
        .into_iter()
        .sum();

    // Each worker pays 0.5 BNB a batch until the 5 BNB are gone.
    assert_eq!(applied, 10 + 2 * usize::from(BATCHES));
    let bnb = world.figures(world.bnb).await;
    assert_eq!(bnb, "0, 0 locked, sequence 11");
    let btc = world.figures(world.btc).await;
    assert_eq!(btc, "10.1, 0 locked, sequence 11");
    let usdt = world.figures(world.usdt).await;
    assert_eq!(usdt, "1007, 8 locked, sequence 19");
    world.assert_verified().await;
}

#[tokio::test]
async fn a_rolled_back_batch_writes_nothing() {
    let world = World::new().await;
    let credit = || world.event("e1", 1, world.credit("1"));

    let mut transaction = world.service.begin().await.expect("begun");
    apply_batch(&mut transaction, &[credit()], rand_seed())
        .await
        .expect("applied");
    transaction.rollback().await.expect("rolled back");

    assert_eq!(world.balance(world.usdt).await, "1000");
    let again = world.outcome(credit()).await;
    assert_eq!(again, "applied", "the claim went with it");
}

#[tokio::test]
async fn a_batch_older_than_ten_seconds_must_be_retried() {
    let world = World::new().await;
    let mut connection = world.service.acquire().await.expect("connection");
    let now = Utc::now();

    assert_fresh(&mut connection, now - TimeDelta::seconds(5))
        .await
        .expect("fresh");
    let error = assert_fresh(&mut connection, now - TimeDelta::seconds(11))
        .await
        .expect_err("stale");

    assert!(error.is_transient(), "{error:?}");
}

/// Applies an event while another transaction that applied `first` is open, which commits as soon as the event waits for it.
async fn apply_behind(world: &World, first: Command, second: Command) -> Result<Batch> {
    let mut open = world.service.begin().await.expect("begun");
    apply_batch(&mut open, &[world.event("first", 1, first)], rand_seed())
        .await
        .expect("applied");

    let second = [world.event("second", 1, second)];
    let mut waiting = world.service.begin().await.expect("begun");
    let (outcome, ()) = tokio::join!(
        apply_batch(&mut waiting, &second, rand_seed()),
        commit_when_awaited(world, open),
    );
    if outcome.is_ok() {
        waiting.commit().await.expect("committed");
    }
    outcome
}

async fn commit_when_awaited(world: &World, open: Transaction<'_, Postgres>) {
    let waits = "SELECT EXISTS (SELECT FROM pg_stat_activity \
                 WHERE datname = current_database() AND wait_event_type = 'Lock')";
    eventually("a wait for the open transaction", LIMIT, async || {
        let is_awaited: bool = sqlx::query_scalar(waits).fetch_one(world.pool()).await?;
        ensure!(is_awaited, "no session waits");
        Ok(())
    })
    .await
    .expect("awaited");
    open.commit().await.expect("committed");
}

#[tokio::test]
async fn of_two_transactions_that_make_an_order_the_second_runs_again() {
    let world = World::new().await;
    let lock = world.lock("100", Some("A"));
    let created = world.step("A", OrderStep::Created);

    let lost = apply_behind(&world, lock, created.clone()).await;

    assert!(lost.expect_err("both made an order").is_race());
    let again = world.outcome(world.event("second", 1, created)).await;
    assert_eq!(again, "applied");
    assert_eq!(world.count("orders").await, 1);
    world.assert_verified().await;
}

#[tokio::test]
async fn the_end_of_an_order_releases_a_hold_that_was_made_meanwhile() {
    let world = World::new().await;
    let created = world.step("A", OrderStep::Created);
    world.outcome(world.event("created", 1, created)).await;

    // They have no account in common.
    let lock = world.lock("100", Some("A"));
    let cancelled = world.step("A", OrderStep::Cancelled);
    apply_behind(&world, lock, cancelled)
        .await
        .expect("applied");

    let figures = world.figures(world.usdt).await;
    assert_eq!(figures, "1000, 0 locked, sequence 1");
    world.assert_verified().await;
}

#[tokio::test]
async fn a_debit_that_waits_for_the_first_lock_of_its_order_runs_again() {
    let world = World::new().await;
    let lock = world.lock("1000", Some("A"));
    let debit = world.debit("1000", Some("A"));

    let lost = apply_behind(&world, lock, debit.clone()).await;

    assert!(lost.expect_err("the order was not there").is_race());
    let again = world.outcome(world.event("second", 1, debit)).await;
    assert_eq!(again, "applied");
    assert_eq!(world.figures(world.usdt).await, "0, 0 locked, sequence 2");
    world.assert_verified().await;
}

#[tokio::test]
async fn a_hold_that_is_renewed_before_its_release_stays() {
    let world = World::new().await;
    let past = Some(Utc::now() - TimeDelta::seconds(1));
    let future = Some(Utc::now() + TimeDelta::days(1));
    let expired = world.lock_until("1", Some("A"), past);
    world.outcome(world.event("expired", 1, expired)).await;

    let renewed = world.lock_until("2", Some("A"), future);
    let mut open = world.service.begin().await.expect("begun");
    apply_batch(
        &mut open,
        &[world.event("renewed", 1, renewed)],
        rand_seed(),
    )
    .await
    .expect("applied");
    let mut upkeep = world.service.begin().await.expect("begun");
    let (released, ()) = tokio::join!(
        release_expired(&mut upkeep, world.trading, 10, rand_seed()),
        commit_when_awaited(&world, open),
    );
    upkeep.commit().await.expect("committed");

    let released = released.expect("done").expect("one had expired");
    assert_eq!(released.holds, 0);
    assert_eq!(world.holds(world.usdt).await, "A: 3");
    world.assert_verified().await;
}
