//! Orders on the live stream.

use crate::live::stream::{Frame, Stream};
use crate::world::orders::NewOrder;
use crate::world::{User, World};
use chrono::Utc;
use serde_json::Value;

/// Returns the next event of an order.
async fn next_order(stream: &mut Stream) -> Frame {
    loop {
        let event = stream.event().await.expect("an event");
        if event.event == "order" {
            return event;
        }
    }
}

/// Returns the only order in the list.
async fn listed(user: &User<'_>) -> Value {
    user.get("/v1/orders").await.list("orders")[0].clone()
}

/// Fills all orders, committed like a batch.
async fn fill(world: &World) {
    let fill = "UPDATE orders SET status = 'filled', filled = 2, quote_filled = 0.1, fills = 1, updated_at = $1";
    world.run(fill, Utc::now()).await;
}

#[tokio::test]
async fn a_new_order_and_its_change_are_sent_like_in_the_list() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = user.book("grid", "0", "0").await;
    let (mut stream, _) = Stream::start(&user).await;

    let id = user.order(&book, NewOrder::default()).await;
    let created = next_order(&mut stream).await;
    assert_eq!(created.data, listed(&user).await);

    fill(&world).await;
    let changed = next_order(&mut stream).await;
    assert_eq!(changed.data["status"], "filled");
    assert_eq!(changed.data, listed(&user).await);
    let is_of_order = changed.id.ends_with(&format!("-order-{id}"));
    assert!(is_of_order, "{changed:?}");
}

#[tokio::test]
async fn a_stream_resumes_with_the_order_that_changed_meanwhile() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let stranger = world.user("bob").await;
    let book = user.book("grid", "0", "0").await;
    let theirs = stranger.book("grid", "0", "0").await;
    let (mut stream, _) = Stream::start(&user).await;
    user.order(&book, NewOrder::default()).await;
    let last = next_order(&mut stream).await;
    drop(stream);

    fill(&world).await;
    stranger.order(&theirs, NewOrder::default()).await;
    let mut resumed = Stream::open(&user, Some(&last.id)).await;
    let missed = next_order(&mut resumed).await;
    assert_eq!(missed.data, listed(&user).await);

    user.deposit(&book.stock, "1").await.data();
    let next = resumed.events(3).await;
    assert!(next.iter().all(|frame| frame.event != "order"), "{next:?}");
}
