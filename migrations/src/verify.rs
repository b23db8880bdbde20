//! Recomputes the books over the whole database and names every row that breaks an invariant.
//!
//! Owns: the snapshot all checks share and their order. Must not know: how the report is shown.
//!
//! Memory is bounded: PostgreSQL sorts (on its disk when it must) and rows come through cursors. What is being
//! purged - a paper or backtest trading in status `deleting` - is left out, it is incomplete by intention.

mod accounts;
mod cursor;
mod horizon;
mod logs;
mod references;
pub(crate) mod report;

use crate::connect;
use anyhow::{Context, Result};
use horizon::Horizon;
use indicatif::ProgressBar;
use report::Report;
use sqlx::{Connection, PgConnection};

/// Checks the whole database and returns what was looked at and what is wrong with it.
///
/// It reads one snapshot, so services may go on working meanwhile. `progress` gets its length and position in rows;
/// use [`ProgressBar::hidden`] to see nothing. A violation is no `Err`: see [`Report::is_clean`].
pub async fn verify(database_url: &str, progress: &ProgressBar) -> Result<Report> {
    let mut connection = connect::connect(database_url).await?;
    let mut snapshot = connection
        .begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        .await?;
    let report = check(&mut snapshot, progress)
        .await
        .context("the check could not be finished")?;
    snapshot.rollback().await?;
    Ok(report)
}

async fn check(connection: &mut PgConnection, progress: &ProgressBar) -> sqlx::Result<Report> {
    // A cursor is read to its end, so plans must not be chosen for their first rows.
    sqlx::query(
        "SELECT set_config('statement_timeout', '0', true), set_config('cursor_tuple_fraction', '1', true),
                set_config('idle_in_transaction_session_timeout', '0', true), set_config('work_mem', '64MB', true)",
    )
    .execute(&mut *connection)
    .await?;
    progress.set_message("counting");
    progress.set_length(rows_to_read(connection).await?);
    let horizon = Horizon::read(connection).await?;

    let mut report = Report::default();
    accounts::check(connection, &horizon, progress, &mut report).await?;
    logs::check(connection, &horizon, progress, &mut report).await?;
    progress.set_message("references");
    references::check(connection, &mut report).await?;
    Ok(report)
}

/// Transactions are read twice: in the order of their accounts and in the order of their logs.
async fn rows_to_read(connection: &mut PgConnection) -> sqlx::Result<u64> {
    let rows: i64 = sqlx::query_scalar(
        "SELECT (SELECT count(*) FROM sub_accounts) + 2 * (SELECT count(*) FROM transactions)
              + (SELECT count(*) FROM trading_logs)",
    )
    .fetch_one(connection)
    .await?;
    Ok(rows.unsigned_abs())
}
