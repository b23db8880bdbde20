//! The partitions of the history tables: monthly, or weekly chunks of TimescaleDB, which also compresses them.

use crate::error::Result;
use crate::lanes::columns::convert;
use sqlx::PgPool;
use std::time::Duration;

/// Creates the missing partitions of this month and the following `months_ahead`, or the chunks of this week and the next.
/// Returns how many it created. Also sets the planner's statistics of partitions created elsewhere, as by TimescaleDB.
pub async fn ensure(pool: &PgPool, months_ahead: u32) -> Result<i32> {
    let created = sqlx::query_scalar("SELECT upkeep_partitions($1)")
        .bind(convert::<_, i32>(months_ahead)?)
        .fetch_one(pool)
        .await?;

    // Without it, plans are worse, but correct.
    if let Err(error) = sqlx::query("SELECT upkeep_statistics()")
        .execute(pool)
        .await
    {
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            "could not set the statistics of new partitions"
        );
    }
    Ok(created)
}

/// Makes TimescaleDB compress chunks older than `age`, or none. Returns whether that is a change. Does nothing without
/// TimescaleDB.
pub async fn compress_after(pool: &PgPool, age: Option<Duration>) -> Result<bool> {
    Ok(sqlx::query_scalar("SELECT upkeep_compression($1)")
        .bind(age)
        .fetch_one(pool)
        .await?)
}
