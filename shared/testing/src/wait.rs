//! Waiting for a condition with a deadline.
//!
//! Owns: the pace of polling and the message of a wait that failed. Must not know: what is waited for.

use std::fmt::Display;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// Pause between two looks.
pub(super) const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Calls `attempt` until it succeeds, for at most `limit`.
///
/// Fails with what was waited for, how long, and what the last attempt said. An attempt that hangs is cut off at the
/// deadline.
pub async fn eventually<T, E: Display>(
    what: &str,
    limit: Duration,
    mut attempt: impl AsyncFnMut() -> Result<T, E>,
) -> anyhow::Result<T> {
    let deadline = Instant::now() + limit;
    let mut last = "the first attempt did not come to an end".to_owned();

    loop {
        match timeout_at(deadline, attempt()).await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(status)) => last = format!("{status:#}"),
            Err(_) => {}
        }
        if Instant::now() + POLL_INTERVAL >= deadline {
            anyhow::bail!(
                "{what}: not within {} s; last status: {last}",
                limit.as_secs_f32()
            );
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}
