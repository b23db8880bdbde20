//! How many of everything there are, for the figures of the whole system.

use crate::error::Result;
use sqlx::PgConnection;

/// Users by status.
pub async fn users(connection: &mut PgConnection) -> Result<Vec<(String, i64)>> {
    let counts = sqlx::query_as("SELECT status, count(*) FROM users GROUP BY status");
    Ok(counts.fetch_all(connection).await?)
}

/// Tradings by type and status.
pub async fn tradings(connection: &mut PgConnection) -> Result<Vec<(String, String, i64)>> {
    let counts =
        sqlx::query_as("SELECT type, status, count(*) FROM tradings GROUP BY type, status");
    Ok(counts.fetch_all(connection).await?)
}

/// Components of bots by what their last heartbeat said; `silent` are those that said nothing for five minutes.
pub async fn bots(connection: &mut PgConnection) -> Result<Vec<(String, i64)>> {
    let counts = sqlx::query_as(
        "SELECT CASE WHEN last_seen_at < clock_timestamp() - interval '5 minutes' THEN 'silent' ELSE status END, \
         count(*) FROM bots GROUP BY 1",
    );
    Ok(counts.fetch_all(connection).await?)
}
