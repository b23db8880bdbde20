//! `store::ledger` on a real database.

mod claims;
mod concurrency;
mod holds;
mod refusals;
mod rows;

use crate::world::World;

#[tokio::test]
async fn folds_a_large_batch_in_order() {
    let world = World::new().await;
    let mut entries = Vec::new();
    for round in 0..100 {
        entries.push(world.event(&format!("credit-{round:03}"), 1, world.credit("3.5")));
        entries.push(world.event(&format!("debit-{round:03}"), 1, world.debit("2", None)));
    }
    entries.push(world.event("trade", 1, world.buy("1", "1150", None)));
    entries.push(world.event("too-much", 1, world.debit("0.000000000001", None)));

    let outcomes = world.outcomes(&entries).await;

    assert_eq!(outcomes[..201], ["applied"; 201]);
    assert_eq!(outcomes[201..], ["INSUFFICIENT_BALANCE"]);
    let usdt = world.figures(world.usdt).await;
    assert_eq!(usdt, "0, 0 locked, sequence 202");
    let btc = world.figures(world.btc).await;
    assert_eq!(btc, "11, 0 locked, sequence 2");
    let bnb = world.figures(world.bnb).await;
    assert_eq!(bnb, "4.5, 0 locked, sequence 2");
    assert_eq!(world.count("transactions").await, 206);
    assert_eq!(world.count("trading_logs").await, 204);
    world.assert_verified().await;
}

#[tokio::test]
async fn empty_and_rejected_batches_write_nothing() {
    let world = World::new().await;
    let transactions = world.count("transactions").await;
    let logs = world.count("trading_logs").await;

    let empty = world.outcomes(&[]).await;
    let rejected = world.outcome(world.entry(world.debit("5000", None))).await;

    assert!(empty.is_empty(), "{empty:?}");
    assert_eq!(rejected, "INSUFFICIENT_BALANCE");
    assert_eq!(world.count("transactions").await, transactions);
    assert_eq!(world.count("trading_logs").await, logs);
    assert_eq!(world.count("processed_events").await, 0);
}
