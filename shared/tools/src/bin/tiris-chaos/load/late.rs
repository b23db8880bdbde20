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

/// Makes everything that is named on `wanted`, each once, until there is nobody left to name more, then all that is
/// missing, because nobody named it or because it was lost; answers how many were named.
///
/// The waits grow from one thing to the next, up to `longest`, and begin anew.
pub(crate) async fn run(
    pool: PgPool,
    users: Arc<Vec<User>>,
    mut wanted: Receiver<(usize, usize)>,
    longest: Duration,
    view: View,
) -> usize {
    let (mut seen, mut tasks) = (BTreeSet::new(), JoinSet::new());
    while let Some((user, at)) = wanted.recv().await {
        if !seen.insert((user, at)) {
            continue;
        }
        let steps = u32::try_from(seen.len() % 5 + 1).unwrap_or(1);
        let (wait, pool, users, view) = (
            longest * steps / 5,
            pool.clone(),
            users.clone(),
            view.clone(),
        );
        tasks.spawn(async move {
            tokio::time::sleep(wait).await;
            make(&pool, &users[user], at, &view).await;
        });
    }
    tasks.join_all().await;
    for (user, at) in users
        .iter()
        .flat_map(|user| (0..user.late.len()).map(move |at| (user, at)))
    {
        make(&pool, user, at, &view).await;
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
