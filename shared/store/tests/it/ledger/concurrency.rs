//! Concurrent, rolled back and outdated batches.

use crate::world::{World, outcomes, rand_seed};
use chrono::{Duration, Utc};
use tiris_store::ledger::{apply_batch, assert_fresh};

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
