//! How far back the time series tables reach.
//!
//! Owns: telling a row that retention dropped, which is legitimate, from one that is missing. Must not know: checks.

use sqlx::PgConnection;
use sqlx::types::chrono::{DateTime, Utc};

/// Start of the oldest partition of each table: what is older may have been dropped with its partition.
pub(super) struct Horizon {
    pub(super) transactions: DateTime<Utc>,
    pub(super) trading_logs: DateTime<Utc>,
}

impl Horizon {
    pub(super) async fn read(connection: &mut PgConnection) -> sqlx::Result<Self> {
        Ok(Self {
            transactions: oldest_partition(connection, "transactions").await?,
            trading_logs: oldest_partition(connection, "trading_logs").await?,
        })
    }
}

/// The beginning of time for a table without partitions: then nothing was dropped.
async fn oldest_partition(connection: &mut PgConnection, table: &str) -> sqlx::Result<DateTime<Utc>> {
    let start: Option<DateTime<Utc>> = sqlx::query_scalar(
        "SELECT min(substring(pg_get_expr(c.relpartbound, c.oid) FROM 'FROM \\(''([^'']+)''\\)')::timestamptz)
         FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = $1::regclass",
    )
    .bind(table)
    .fetch_one(connection)
    .await?;
    Ok(start.unwrap_or(DateTime::<Utc>::MIN_UTC))
}
