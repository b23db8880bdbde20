//! Event ids: duplicates and reused ids.

use crate::world::{World, add_account, add_trading, add_user, credit};
use tiris_store::ledger::Entry;

#[tokio::test]
async fn duplicates_change_nothing_within_and_across_batches() {
    let world = World::new().await;
    let credit = || world.event("e1", 1, world.credit("1"));

    let first = world.outcomes(&[credit(), credit()]).await;
    let second = world.outcomes(&[credit(), credit()]).await;

    assert_eq!(first, ["applied", "duplicate"]);
    assert_eq!(second, ["duplicate", "duplicate"]);
    assert_eq!(world.balance(world.usdt).await, "1001");
    assert_eq!(world.claims().await, ["e1 applied"]);
}

#[tokio::test]
async fn distinguishes_reused_ids_from_duplicates_across_batches() {
    let contents = [1, 2, 1, 2, 2];
    let expected = ["applied", "reused", "duplicate", "reused", "reused"];
    for cut in 0..=contents.len() {
        let world = World::new().await;
        let entries: Vec<Entry> = contents
            .iter()
            .map(|content| world.event("e1", *content, world.credit("1")))
            .collect();

        let mut outcomes = world.outcomes(&entries[..cut]).await;
        outcomes.extend(world.outcomes(&entries[cut..]).await);

        assert_eq!(outcomes, expected, "cut at {cut}");
        assert_eq!(world.balance(world.usdt).await, "1001");
    }
}

#[tokio::test]
async fn an_event_id_belongs_to_its_user() {
    let world = World::new().await;
    let user = add_user(world.pool()).await;
    let trading = add_trading(world.pool(), user).await;
    let account = add_account(world.pool(), user, trading, "USDT").await;
    let theirs = Entry {
        user,
        trading,
        ..world.event("e1", 2, credit(account, "USDT", "7"))
    };
    let own = world.event("e1", 1, world.credit("1"));

    let outcomes = world.outcomes(&[own, theirs]).await;

    assert_eq!(outcomes, ["applied", "applied"]);
    assert_eq!(world.balance(account).await, "7");
}

#[tokio::test]
async fn duplicates_of_a_refused_event_stay_duplicates() {
    let world = World::new().await;
    let refused = || world.event("e1", 1, world.debit("5000", None));

    let first = world.outcomes(&[refused(), refused()]).await;
    assert_eq!(first, ["INSUFFICIENT_BALANCE", "duplicate"]);
    assert_eq!(world.claims().await, ["e1 dead"]);

    let later = [
        world.event("e2", 1, world.credit("9000")),
        refused(),
        world.event("e1", 2, world.credit("1")),
    ];
    let later = world.outcomes(&later).await;
    assert_eq!(later, ["applied", "duplicate", "reused"]);
    assert_eq!(world.claims().await, ["e1 dead", "e2 applied"]);
}
