//! Waits for a condition with a deadline.

use std::fmt::Display;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// Pause between two attempts.
pub(super) const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Calls `attempt` until it succeeds, for at most `limit`.
///
/// Fails with `what`, the limit and the error of the last attempt. An attempt that hangs is cut off at the deadline.
pub async fn eventually<T, E: Display>(
    what: &str,
    limit: Duration,
    mut attempt: impl AsyncFnMut() -> Result<T, E>,
) -> anyhow::Result<T> {
    let deadline = Instant::now() + limit;
    let mut last = "the first attempt did not end".to_owned();

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
