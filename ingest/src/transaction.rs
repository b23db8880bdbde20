//! The time limit of a transaction, and the reuse of its connection.

use sqlx::Postgres;
use sqlx::pool::PoolConnection;
use std::time::Duration;
use tiris_store::error::{Error, Result};

/// A transaction that takes longer is abandoned, because its connection is probably dead. The server's own limits are
/// shorter: five seconds per statement, ten from the batch's timestamp to its end.
const TRANSACTION_LIMIT: Duration = Duration::from_secs(15);

/// Runs `transaction`, and fails as unavailable when it exceeds the limit.
pub(crate) async fn within_limit<T, E: From<Error>>(
    transaction: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    tokio::time::timeout(TRANSACTION_LIMIT, transaction)
        .await
        .unwrap_or_else(|_| {
            let why = format!("no answer within {} s", TRANSACTION_LIMIT.as_secs());
            Err(Error::DatabaseUnavailable(why.into()).into())
        })
}

/// Passes `outcome` on. After a failure the connection is closed: it may be dead, or hold plans of an older schema.
pub(crate) fn settle<T, E>(
    connection: PoolConnection<Postgres>,
    outcome: Result<T, E>,
    is_failure: impl Fn(&E) -> bool,
) -> Result<T, E> {
    if outcome.as_ref().is_err_and(is_failure) {
        drop(connection.detach());
    }
    outcome
}
