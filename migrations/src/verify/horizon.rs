//! How far back the time series tables reach.
//!
//! Owns: telling a row that retention dropped, which is legitimate, from one that is missing. Must not know: checks.

use sqlx::PgConnection;
use sqlx::types::chrono::{DateTime, Utc};

/// From when on each table has every row: what is older may have been dropped with its partition.
pub(super) struct Horizon {
    pub(super) transactions: DateTime<Utc>,
    pub(super) trading_logs: DateTime<Utc>,
}

impl Horizon {
    pub(super) async fn read(connection: &mut PgConnection) -> sqlx::Result<Self> {
        Ok(Self {
            transactions: since(connection, "transactions").await?,
            trading_logs: since(connection, "trading_logs").await?,
        })
    }
}

async fn since(connection: &mut PgConnection, table: &str) -> sqlx::Result<DateTime<Utc>> {
    sqlx::query_scalar("SELECT since FROM history_horizons WHERE history = $1")
        .bind(table)
        .fetch_one(connection)
        .await
}
