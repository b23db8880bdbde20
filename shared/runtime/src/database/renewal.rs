//! The replacement of all sessions that began before some moment.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Renewals that follow within this time are not logged.
const LOG_INTERVAL: Duration = Duration::from_secs(1);

/// Sessions that began before this moment are closed instead of being used again.
static RENEWED: Mutex<Option<Instant>> = Mutex::new(None);

fn renewed() -> MutexGuard<'static, Option<Instant>> {
    RENEWED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes every pool of the process replace its present sessions, each when it is next needed. One failure is enough: the
/// other sessions have the same server, or plans of the same age.
pub fn renew_sessions(why: &'static str) {
    let earlier = renewed().replace(Instant::now());

    if earlier.is_none_or(|earlier| earlier.elapsed() > LOG_INTERVAL) {
        tracing::warn!(why, "replacing all database sessions");
    }
}

/// Returns whether a session of this age began before the last renewal.
pub(super) fn is_outdated(age: Duration) -> bool {
    renewed().is_some_and(|renewed| age > renewed.elapsed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_renewal_outdates_older_sessions_only() {
        renew_sessions("a test");

        assert!(is_outdated(Duration::from_secs(60)));
        assert!(!is_outdated(Duration::ZERO));
    }
}
