//! How long a lane's transaction may take, and what becomes of its connection.

use sqlx::Postgres;
use sqlx::pool::PoolConnection;
use std::time::Duration;
use tiris_store::error::{Error, Result};

/// A transaction that takes longer is given up, because its connection is probably dead. The server's own limits,
/// five seconds a statement, ten from the batch's timestamp to its end, come before.
const TRANSACTION_LIMIT: Duration = Duration::from_secs(15);

/// The result of `transaction`, or that the database does not answer.
pub(crate) async fn within_limit<T>(transaction: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::time::timeout(TRANSACTION_LIMIT, transaction)
        .await
        .unwrap_or_else(|_| {
            let why = format!("no answer within {} s", TRANSACTION_LIMIT.as_secs());
            Err(Error::DatabaseUnavailable(why.into()))
        })
}

/// Passes `outcome` on. After a failure the connection is not used again: it may be dead, or hold plans of an older
/// schema.
pub(crate) fn settle<T>(connection: PoolConnection<Postgres>, outcome: Result<T>) -> Result<T> {
    if outcome.is_err() {
        drop(connection.detach());
    }
    outcome
}
