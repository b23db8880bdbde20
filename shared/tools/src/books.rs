//! Checks of the books after a load of events. Each balance event is one posting and one trading log.

use anyhow::{Result, ensure};
use indicatif::ProgressBar;
use sqlx::{AssertSqlSafe, PgPool};

/// The rows of a load in the books.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BookedRows {
    /// The number of postings.
    pub postings: u64,
    /// The number of trading logs.
    pub logs: u64,
}

/// Returns the number of postings in the balances, which is that of balance events.
///
/// # Errors
/// When the database fails.
pub async fn booked_events(pool: &PgPool) -> Result<u64> {
    let statement = "SELECT coalesce(sum(sequence), 0)::bigint FROM sub_accounts";
    let sum: i64 = sqlx::query_scalar(statement).fetch_one(pool).await?;
    Ok(u64::try_from(sum)?)
}

/// Returns the number of rows of `table`, which may be followed by a condition.
///
/// # Errors
/// When the database fails.
pub async fn count_rows(pool: &PgPool, table: &str) -> Result<u64> {
    let statement = AssertSqlSafe(format!("SELECT count(*) FROM {table}"));
    let count: i64 = sqlx::query_scalar(statement).fetch_one(pool).await?;
    Ok(u64::try_from(count)?)
}

/// Checks that balances, postings and trading logs hold exactly `events` balance events and that there is no dead letter.
///
/// # Errors
/// When they do not, or the database fails.
pub async fn check_books(pool: &PgPool, events: u64) -> Result<()> {
    let expected = BookedRows {
        postings: events,
        logs: events,
    };
    check_rows(pool, expected).await
}

/// Checks that balances, postings and trading logs hold exactly these rows and that there is no dead letter.
///
/// # Errors
/// When they do not, or the database fails.
pub async fn check_rows(pool: &PgPool, expected: BookedRows) -> Result<()> {
    let BookedRows { postings, logs } = expected;
    let found = [
        booked_events(pool).await?,
        count_rows(pool, "transactions").await?,
        count_rows(pool, "trading_logs").await?,
        count_rows(pool, "dead_letters").await?,
    ];
    ensure!(
        found == [postings, postings, logs, 0],
        "instead of {postings} postings and {logs} logs the books hold (balances, postings, logs, dead letters) {found:?}"
    );
    Ok(())
}

/// Recomputes the books of a database, as `tiris-migrate verify` does.
///
/// # Errors
/// When rows contradict each other, or the database fails.
pub async fn verify_books(database_url: &str) -> Result<()> {
    let report = tiris_migrations::verify(database_url, &ProgressBar::hidden()).await?;
    ensure!(report.is_clean(), "the books are wrong: {report}");
    Ok(())
}
