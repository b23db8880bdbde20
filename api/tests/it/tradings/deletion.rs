//! Deletion of tradings with a long history, and during bookings.

use super::LEFT;
use crate::world::book::Book;
use crate::world::{User, World};
use serde_json::json;
use tiris_domain::ids::TradingId;
use tiris_domain::ledger::Command;
use tiris_store::ledger::{Disposition, apply_batch};
use tiris_store::tradings::{self, Purged};
use tiris_testing::grow_history;

const TRANSACTIONS: &str = "SELECT count(*) FROM transactions WHERE trading_id = $1";
const POSTINGS: i32 = 12_500;
/// Postings that the request leaves to the purge.
const LEFT_TO_PURGE: i64 = 2_500;
const PIECE: u32 = 1_000;

/// Deletes a book whose history is longer than one request removes.
async fn delete_long(world: &World, user: &User<'_>, book: &Book) {
    let account = book.stock.parse().expect("an id");
    grow_history(world.pool(), account, POSTINGS)
        .await
        .expect("a history");
    world.verify().await;
    let path = format!("/v1/tradings/{}", book.trading);
    user.delete(&path).await.data();
}

#[tokio::test]
async fn hides_a_long_history_at_once() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = user.book("grid", "0", "0").await;
    let kept = user.book("other", "1", "1").await;

    delete_long(&world, &user, &book).await;

    let left = world.count(TRANSACTIONS, &book.trading).await;
    assert_eq!(left, LEFT_TO_PURGE);
    for (list, count) in [
        ("tradings", 1),
        ("sub-accounts", 2),
        ("transactions", 2),
        ("trading-logs", 2),
    ] {
        let seen = user.get(&format!("/v1/{list}")).await;
        assert_eq!(seen.list(&list.replace('-', "_")).len(), count, "{seen}");
    }
    let logs = format!("/v1/trading-logs/trading/{}", book.trading);
    user.get(&logs).await.assert_error(404, "NOT_FOUND");
    assert_eq!(user.balance(&kept.stock).await, "1");
    world.verify().await;
    user.book("grid", "1", "1").await;
}

/// Purges one piece, committed.
async fn purge(world: &World, trading: TradingId) -> Purged {
    let mut piece = world.service().begin().await.expect("a transaction");
    let purged = tradings::purge_some(&mut piece, trading, PIECE)
        .await
        .expect("a piece");
    piece.commit().await.expect("committed");
    purged
}

#[tokio::test]
async fn a_long_history_is_purged_in_pieces() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = user.book("grid", "0", "0").await;
    delete_long(&world, &user, &book).await;
    let trading = TradingId(book.trading.parse().expect("an id"));

    let mut pieces = 1;
    while purge(&world, trading).await == Purged::Some {
        world.verify().await;
        pieces += 1;
    }

    // Postings, then logs.
    assert!((14..=16).contains(&pieces), "{pieces}");
    assert_eq!(world.count(LEFT, &book.trading).await, 0);
    assert_eq!(purge(&world, trading).await, Purged::Nothing);
}

#[tokio::test]
async fn only_one_purge_runs_and_it_can_be_interrupted() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = user.book("grid", "0", "0").await;
    delete_long(&world, &user, &book).await;
    let trading = TradingId(book.trading.parse().expect("an id"));
    let mut cut_off = world.service().begin().await.expect("a transaction");
    let begun = tradings::purge_some(&mut cut_off, trading, PIECE).await;
    assert_eq!(begun.expect("a piece"), Purged::Some);

    let other = purge(&world, trading).await;

    assert_eq!(other, Purged::Nothing);
    drop(cut_off);
    let left = world.count(TRANSACTIONS, &book.trading).await;
    assert_eq!(left, LEFT_TO_PURGE);
}

#[tokio::test]
async fn a_deletion_waits_for_a_concurrent_booking() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = user.book("grid", "1", "1").await;
    let path = format!("/v1/tradings/{}", book.trading);
    let record = book.entry(user.id, Command::Record { account: None });
    let mut booking = world.service().begin().await.expect("a transaction");
    let batch = apply_batch(&mut booking, &[record], 7)
        .await
        .expect("booked");
    assert!(matches!(batch.dispositions[..], [Disposition::Applied(_)]));

    let (deleted, ()) = tokio::join!(user.delete(&path), async {
        world.lock_is_waited_for().await;
        booking.commit().await.expect("committed");
    });

    deleted.data();
    // No log stays without its trading.
    assert_eq!(world.count(LEFT, &book.trading).await, 0);
    world.verify().await;
}

#[tokio::test]
async fn a_deletion_during_bookings_leaves_no_rows() {
    let world = World::start().await;
    let user = world.user("ann").await;

    for round in 0..5 {
        let book = user.book(&format!("grid {round}"), "1000", "1000").await;
        let path = format!("/v1/tradings/{}", book.trading);
        let send = async |number: usize| match number % 4 {
            0 => user.post("/v1/trading-logs", book.trade("long")).await,
            1 => user.post("/v1/trading-logs", book.note()).await,
            2 => user.deposit(&book.stock, "1").await,
            _ => {
                let account = json!({"trading_id": book.trading, "name": format!("late {number}"), "symbol": "ETH", "balance": "1"});
                user.post("/v1/sub-accounts", account).await
            }
        };

        let sent = futures_util::future::join_all((0..16).map(send));
        let (deleted, answers) = tokio::join!(user.delete(&path), sent);

        deleted.data();
        for answer in answers.iter().filter(|answer| !answer.status.is_success()) {
            answer.assert_error(404, "NOT_FOUND");
        }
        assert_eq!(world.count(LEFT, &book.trading).await, 0);
    }

    let logs = user.get("/v1/trading-logs").await;
    assert!(logs.list("trading_logs").is_empty(), "{logs}");
    world.verify().await;
}
