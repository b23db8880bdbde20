//! Makes what comes late, some time after the first event for it.
//!
//! Owns: when each thing is made. Must not know: events.

use super::people::{self, User};
use sqlx::PgPool;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tiris_testing::View;
use tokio::sync::mpsc::Receiver;
use tokio::task::JoinSet;

/// Pause before a thing that could not be made is tried again.
const AGAIN: Duration = Duration::from_millis(500);

/// Something a user has only late.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LateThing {
    /// The number of the user.
    pub(crate) user: usize,
    /// Which of the user's late things.
    pub(crate) at: usize,
}

/// Makes everything that is named on `wanted`, each once, until there is nobody left to name more, then all that is
/// missing, because nobody named it or because it was lost; returns how many were named.
///
/// The waits grow from one thing to the next, up to `longest`, and begin anew.
pub(crate) async fn run(
    pool: PgPool,
    users: Arc<Vec<User>>,
    mut wanted: Receiver<LateThing>,
    longest: Duration,
    view: View,
) -> usize {
    let mut seen = BTreeSet::new();
    let mut tasks = JoinSet::new();
    let mut steps = (1..=5).cycle();
    while let Some(thing) = wanted.recv().await {
        if seen.insert(thing) {
            let wait = longest * steps.next().unwrap_or(1) / 5;
            let users = users.clone();
            let pool = pool.clone();
            let view = view.clone();
            tasks.spawn(async move {
                tokio::time::sleep(wait).await;
                make(&pool, &users[thing.user], thing.at, &view).await;
            });
        }
    }
    tasks.join_all().await;

    for user in users.iter() {
        for at in 0..user.late.len() {
            make(&pool, user, at, &view).await;
        }
    }
    seen.len()
}

/// Makes it, as often as it takes.
async fn make(pool: &PgPool, user: &User, at: usize, view: &View) {
    while let Err(error) = people::create_late(pool, user, &user.late[at]).await {
        view.detail(&format!(
            "late thing {at} of user {} not yet made: {error:#}",
            user.number
        ));
        tokio::time::sleep(AGAIN).await;
    }
}
