//! Concurrent, rolled back and outdated batches.

use crate::world::{World, outcomes, rand_seed};
use chrono::{Duration, Utc};
use sqlx::{Postgres, Transaction};
use tiris_domain::ledger::{Command, OrderStep};
use tiris_store::error::Result;
use tiris_store::ledger::{Batch, apply_batch, assert_fresh};

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

    let mut transaction = world.pool().begin().await.expect("begun");
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
    let mut connection = world.pool().acquire().await.expect("connection");
    let now = Utc::now();

    assert_fresh(&mut connection, now - Duration::seconds(5))
        .await
        .expect("fresh");
    let error = assert_fresh(&mut connection, now - Duration::seconds(11))
        .await
        .expect_err("stale");

    assert!(error.is_transient(), "{error:?}");
}

/// Applies an event while another transaction that applied `first` is open, which commits as soon as the event waits for it.
async fn apply_behind(world: &World, first: Command, second: Command) -> Result<Batch> {
    let mut open = world.pool().begin().await.expect("begun");
    apply_batch(&mut open, &[world.event("first", 1, first)], rand_seed())
        .await
        .expect("applied");

    let second = [world.event("second", 1, second)];
    let mut waiting = world.pool().begin().await.expect("begun");
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
    let mut is_awaited = false;
    while !is_awaited {
        is_awaited = sqlx::query_scalar(waits)
            .fetch_one(world.pool())
            .await
            .expect(waits);
    }
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
