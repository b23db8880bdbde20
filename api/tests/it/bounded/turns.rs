//! Large answers take turns, and delay no other requests.

use super::held::{Asked, Held, ask};
use super::{FEW_KEYS, insert_large};
use crate::world::{User, World};
use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use std::time::Duration;

/// More rows of 60 KiB than a page has room for.
const ROWS: i32 = 80;
const LARGE: &str = "/v1/transactions?limit=1000";
/// Large answers of a user at once.
const OF_USER: usize = 3;
/// Parallel requests of a user.
const PARALLEL: usize = 12;
/// The size of a large answer at least.
const LARGE_BYTES: usize = 3 * 1024 * 1024;

/// Time limit of a request. Unoptimized, large answers take long.
const REQUEST_MAX: Duration = Duration::from_secs(120);

/// Creates a user with a history of large rows.
async fn owner<'w>(world: &'w World, name: &str) -> User<'w> {
    let user = world.user(name).await;
    let book = user.book("grid", "0", "0").await;
    insert_large(world.pool(), &book.stock, ROWS, FEW_KEYS).await;
    user
}

/// Sends requests for the largest page at once.
async fn ask_many(user: &User<'_>, count: usize) -> Vec<Asked> {
    let asked = (0..count).map(|_| ask(user.world.address, &user.token, LARGE, "*/*"));
    join_all(asked).await
}

/// Returns the answers that begin, as they begin.
fn begin(asked: Vec<Asked>) -> FuturesUnordered<impl Future<Output = Held>> {
    asked.into_iter().map(Asked::begun).collect()
}

/// Asserts that small answers do not wait.
async fn assert_small_answers(user: &User<'_>) {
    for path in ["/v1/tradings", "/v1/transactions?limit=1", "/v1/users/me"] {
        user.get(path).await.data();
    }
}

#[tokio::test]
async fn large_answers_take_turns_and_delay_no_others() {
    let world = World::start_with(|settings| settings.request_timeout = REQUEST_MAX).await;
    let ann = owner(&world, "ann").await;
    let mut others = Vec::new();
    for name in ["bob", "cleo", "dan"] {
        others.push(owner(&world, name).await);
    }

    let mut of_ann = begin(ask_many(&ann, PARALLEL).await);
    let mut held = Vec::new();
    for _ in 0..OF_USER {
        held.push(of_ann.next().await.expect("an answer"));
    }
    assert_small_answers(&ann).await;

    // The other requests of the user keep nothing from other users.
    let mut of_others = Vec::new();
    for other in &others {
        let asked = ask_many(other, OF_USER).await;
        of_others.extend(join_all(asked.into_iter().map(Asked::begun)).await);
        assert_small_answers(other).await;
    }
    for answer in of_others {
        assert!(answer.read().await.len() > LARGE_BYTES);
    }

    let mut whole = 0;
    while let Some(answer) = held.pop() {
        assert!(answer.read().await.len() > LARGE_BYTES);
        whole += 1;
        held.extend(of_ann.next().await);
    }
    assert_eq!(whole, PARALLEL);
}
