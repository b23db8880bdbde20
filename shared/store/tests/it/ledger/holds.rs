//! Holds: stored between batches, counted, and removed when empty.

use crate::world::World;

/// Creates a world with 7 USDT held without an order and 150 USDT for the order `A`.
async fn with_holds() -> World {
    let world = World::new().await;
    let locks = [
        world.event("l1", 1, world.lock("100", Some("A"))),
        world.event("l2", 1, world.lock("50", Some("A"))),
        world.event("l3", 1, world.lock("7", None)),
        world.event("l4", 1, world.lock("1", Some("gone"))),
        world.event("l5", 1, world.unlock("1", Some("gone"))),
    ];
    assert_eq!(world.outcomes(&locks).await, ["applied"; 5]);
    world
}

#[tokio::test]
async fn adds_holds_of_an_order_and_removes_empty_ones() {
    let world = with_holds().await;

    let holds = world.holds(world.usdt).await;
    assert_eq!(holds, "no order: 7, A: 150");
    let figures = world.figures(world.usdt).await;
    assert_eq!(figures, "1000, 157 locked, sequence 1");
    world.assert_verified().await;
}

#[tokio::test]
async fn counts_holds_that_were_not_loaded() {
    let world = with_holds().await;

    let outcome = world.outcome(world.entry(world.debit("843.1", None))).await;

    assert_eq!(outcome, "INSUFFICIENT_BALANCE");
}

#[tokio::test]
async fn a_debit_consumes_the_hold_of_its_order() {
    let world = with_holds().await;

    world
        .outcome(world.event("d1", 1, world.debit("120", Some("A"))))
        .await;

    let holds = world.holds(world.usdt).await;
    assert_eq!(holds, "no order: 7, A: 30");
    let figures = world.figures(world.usdt).await;
    assert_eq!(figures, "880, 37 locked, sequence 2");
    world.assert_verified().await;
}

#[tokio::test]
async fn a_released_hold_can_be_created_again() {
    let world = with_holds().await;

    let release = world.unlock("150", Some("A"));
    let entries = [world.entry(release), world.entry(world.unlock("7", None))];
    world.apply(&entries).await;
    assert_eq!(world.holds(world.usdt).await, "none");
    let figures = world.figures(world.usdt).await;
    assert_eq!(figures, "1000, 0 locked, sequence 1");

    let again = world
        .outcome(world.entry(world.lock("1000", Some("A"))))
        .await;
    assert_eq!(again, "applied");
    world.assert_verified().await;
}

#[tokio::test]
async fn a_hold_stores_the_event_that_created_it() {
    let world = World::new().await;

    for event_id in ["first", "second"] {
        let lock = world.lock("1", Some("A"));
        world.apply(&[world.event(event_id, 1, lock)]).await;
    }

    let event_id: String = sqlx::query_scalar("SELECT event_id FROM holds")
        .fetch_one(world.pool())
        .await
        .expect("one hold");
    assert_eq!(event_id, "first");
}
