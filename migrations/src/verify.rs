//! Recomputes the books of the whole database and names every row that breaks an invariant.
//!
//! Memory is bounded: PostgreSQL sorts, on its disk if it must, and rows come through cursors. A paper or backtest
//! trading in status `deleting` is left out, because its purge is incomplete on purpose.

mod accounts;
mod cursor;
mod logs;
mod orders;
mod references;
pub(crate) mod report;
mod snapshot;

use crate::connect;
use anyhow::{Context, Result};
use indicatif::ProgressBar;
use report::Report;
use snapshot::Snapshot;
use sqlx::{Connection, PgConnection};

/// Checks the whole database and returns the violations.
///
/// It reads one snapshot, so services may keep running. `progress` receives its length and position in rows; use
/// [`ProgressBar::hidden`] to show nothing. A violation is not an `Err`: see [`Report::is_clean`].
pub async fn verify(database_url: &str, progress: &ProgressBar) -> Result<Report> {
    let mut connection = connect::connect(database_url).await?;
    let mut transaction = connection
        .begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        .await?;

    let report = check(&mut transaction, progress)
        .await
        .context("the check could not be completed")?;
    transaction.rollback().await?;
    Ok(report)
}

async fn check(connection: &mut PgConnection, progress: &ProgressBar) -> sqlx::Result<Report> {
    let mut snapshot = Snapshot::prepare(connection, progress).await?;
    let mut report = Report::default();

    accounts::check(&mut snapshot, &mut report).await?;
    logs::check(&mut snapshot, &mut report).await?;
    references::check(&mut snapshot, &mut report).await?;
    orders::check(&mut snapshot, &mut report).await?;
    Ok(report)
}
