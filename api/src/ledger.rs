//! Moves money for a request: one transaction from begin to commit, tried again when the database asks for it.
//!
//! Owns: the transaction and its retries. Must not know: HTTP, or what else the transaction writes.

use chrono::{DateTime, Utc};
use sqlx::{AssertSqlSafe, PgConnection, PgPool};
use tiris_runtime::trace;
use tiris_store::error::{Error, Result};
use tiris_store::ledger::{Applied, Cause, Disposition, Entry, apply_batch, assert_fresh};

/// How often a transaction is begun at most.
const ATTEMPTS_MAX: u32 = 3;
/// Serialization failure and deadlock: PostgreSQL asks to try the same transaction again.
const RETRY_CODES: [&str; 2] = ["40001", "40P01"];

/// What happens inside one transaction; it may run more than once.
pub(crate) trait Work: Sync {
    /// What it results in.
    type Output: Send;

    /// Does it; the caller commits. A work that books ends with [`finish`], or tells when by [`Work::booked_at`].
    fn run(
        &self,
        connection: &mut PgConnection,
    ) -> impl Future<Output = Result<Self::Output>> + Send;

    /// When it booked, to be checked by the last statement of the transaction.
    fn booked_at(_output: &Self::Output) -> Option<DateTime<Utc>> {
        None
    }
}

/// Runs `work` in a transaction and commits; an error leaves nothing behind.
pub(crate) async fn commit<W: Work>(pool: &PgPool, work: &W) -> Result<W::Output> {
    let mut attempt = 1;
    loop {
        match once(pool, work).await {
            Err(error) if attempt < ATTEMPTS_MAX && asks_for_retry(&error) => attempt += 1,
            result => return result,
        }
    }
}

async fn once<W: Work>(pool: &PgPool, work: &W) -> Result<W::Output> {
    let mut transaction = pool
        .begin_with(AssertSqlSafe(trace::begin_statement()))
        .await?;
    let output = work.run(&mut transaction).await?;
    if let Some(timestamp) = W::booked_at(&output) {
        finish(&mut transaction, timestamp).await?;
    }
    transaction.commit().await?;
    Ok(output)
}

fn asks_for_retry(error: &Error) -> bool {
    let Error::DatabaseUnavailable(source) = error else {
        return false;
    };
    let code = source
        .downcast_ref::<sqlx::Error>()
        .and_then(|e| e.as_database_error())
        .and_then(|e| e.code());
    code.is_some_and(|code| RETRY_CODES.contains(&code.as_ref()))
}

/// Books the entries, all or none, and returns their common timestamp and what each did.
pub(crate) async fn book(
    connection: &mut PgConnection,
    entries: &[Entry],
) -> Result<(DateTime<Utc>, Vec<Applied>)> {
    let batch = apply_batch(connection, entries, rand::random()).await?;
    let applied = batch.dispositions.into_iter().map(|done| match done {
        Disposition::Applied(applied) => Ok(applied),
        Disposition::DeadLetter(Cause::Rejected(rejection)) => Err(rejection.into()),
        _ => Err(Error::internal(
            "an entry without an event id counts as an event",
        )),
    });
    Ok((batch.timestamp, applied.collect::<Result<_>>()?))
}

/// The last statement of a transaction that booked at `timestamp`.
pub(crate) async fn finish(connection: &mut PgConnection, timestamp: DateTime<Utc>) -> Result<()> {
    assert_fresh(connection, timestamp).await
}
