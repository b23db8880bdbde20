//! The load: who there is, what is published, and publishing it.
//!
//! Owns: that a seed determines every byte of it. Must not know: what is done to the system meanwhile.

mod book;
pub(crate) mod event;
pub(crate) mod late;
pub(crate) mod people;
mod poison;
pub(crate) mod publish;
pub(crate) mod script;

use anyhow::Result;
use people::User;
use script::Step;
use std::sync::Arc;

/// Publishers that work at once.
pub(crate) const PUBLISHERS: usize = 8;

/// Draws the script of every publisher, about `events` steps together. That takes a while, and nothing else may wait.
pub(crate) async fn scripts(
    seed: u64,
    users: &Arc<Vec<User>>,
    events: u32,
) -> Result<Vec<Vec<Step>>> {
    let each = usize::try_from(events)? / PUBLISHERS;
    let users = users.clone();
    let draw = move || {
        let scripts = (0..PUBLISHERS).map(|publisher| script::draw(seed, publisher, &users, each));
        scripts.collect()
    };
    Ok(tokio::task::spawn_blocking(draw).await?)
}
