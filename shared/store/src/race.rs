//! Transactions that lose a race against others, or their database session, run again.

use crate::error::Result;

/// Maximum number of attempts at a transaction.
const ATTEMPTS_MAX: u32 = 3;

/// Repeats `attempt`, a whole transaction, after it lost a race against another one, such as a deadlock, waited so long for
/// another one that it became stale, or had a session that a migration or a failover outdated.
///
/// # Errors
/// Those of the last attempt.
pub async fn retried<T, A, F>(attempt: A) -> Result<T>
where
    A: Fn() -> F,
    F: Future<Output = Result<T>>,
{
    let mut attempts = 1;
    loop {
        match attempt().await {
            Err(error)
                if attempts < ATTEMPTS_MAX
                    && (error.is_race() || error.is_stale() || error.is_outdated_session()) =>
            {
                attempts += 1;
            }
            result => return result,
        }
    }
}
