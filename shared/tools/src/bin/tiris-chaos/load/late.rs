//! Creates late resources some time after the first event for them.

use super::users;
use crate::run::Run;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::Receiver;
use tokio::task::JoinSet;

/// The longest wait between the first event for a late resource and its creation.
const LATE_MAX: Duration = Duration::from_secs(8);
const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// A user, or a trading with its accounts, that is created after events for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LateResource {
    /// The number of the user.
    pub(crate) user: usize,
    /// The index in the user's late tradings; none for the user.
    pub(crate) at: Option<usize>,
}

/// Creates each resource received from `wanted` once. After the last one it creates all missing resources, which no event
/// was for or which were lost. Returns the number of received resources.
///
/// The waits grow from one resource to the next, then begin anew.
pub(crate) async fn run(run: Arc<Run>, mut wanted: Receiver<LateResource>) -> usize {
    let longest = LATE_MAX.min(run.load.duration / 4);
    let mut seen = BTreeSet::new();
    let mut tasks = JoinSet::new();
    let mut steps = (1..=5).cycle();
    while let Some(resource) = wanted.recv().await {
        if seen.insert(resource) {
            let wait = longest * steps.next().unwrap_or(1) / 5;
            let run = run.clone();
            tasks.spawn(async move {
                tokio::time::sleep(wait).await;
                create(&run, resource).await;
            });
        }
    }
    tasks.join_all().await;

    for user in &run.users {
        let resources = (0..user.late.len()).map(Some);
        for at in resources.chain(user.is_late.then_some(None)) {
            let user = user.number;
            create(&run, LateResource { user, at }).await;
        }
    }
    seen.len()
}

/// Creates a resource, retrying until it succeeds.
async fn create(run: &Run, LateResource { user, at }: LateResource) {
    let owner = &run.users[user];
    while let Err(error) = users::create_late(&run.system.pool, owner, at).await {
        let line = format!("late resource {at:?} of user {user} is not created yet: {error:#}");
        run.options.view.detail(&line);
        tokio::time::sleep(RETRY_PAUSE).await;
    }
}
