//! The snapshot that all checks read.

use indicatif::ProgressBar;
use sqlx::types::chrono::{DateTime, Utc};
use sqlx::{FromRow, PgConnection};

/// A transaction with a snapshot of the database.
pub(super) struct Snapshot<'a> {
    pub(super) connection: &'a mut PgConnection,
    pub(super) progress: &'a ProgressBar,
    pub(super) horizon: Horizon,
}

/// The times from which tables are complete; retention may have dropped older rows.
#[derive(Clone, Copy, FromRow)]
pub(super) struct Horizon {
    pub(super) transactions: DateTime<Utc>,
    pub(super) trading_logs: DateTime<Utc>,
}

impl<'a> Snapshot<'a> {
    /// Configures the transaction, counts the rows to read and reads the horizon.
    pub(super) async fn prepare(
        connection: &'a mut PgConnection,
        progress: &'a ProgressBar,
    ) -> sqlx::Result<Self> {
        // Cursors are read to their end, so plans must not be optimized for the first rows.
        sqlx::query(
            "SELECT set_config('statement_timeout', '0', true), set_config('cursor_tuple_fraction', '1', true),
                    set_config('idle_in_transaction_session_timeout', '0', true), set_config('work_mem', '64MB', true)",
        )
        .execute(&mut *connection)
        .await?;

        progress.set_message("counting");
        // Transactions are read twice, ordered by account and ordered by log.
        let rows: i64 = sqlx::query_scalar(
            "SELECT (SELECT count(*) FROM sub_accounts) + 2 * (SELECT count(*) FROM transactions)
                  + (SELECT count(*) FROM trading_logs)",
        )
        .fetch_one(&mut *connection)
        .await?;
        progress.set_length(rows.unsigned_abs());

        let horizon: Horizon = sqlx::query_as(
            "SELECT (SELECT since FROM history_horizons WHERE history = 'transactions') AS transactions,
                    (SELECT since FROM history_horizons WHERE history = 'trading_logs') AS trading_logs",
        )
        .fetch_one(&mut *connection)
        .await?;
        Ok(Self {
            connection,
            progress,
            horizon,
        })
    }
}
