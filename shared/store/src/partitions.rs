//! The partitions of the history tables: monthly ones, or weekly chunks of TimescaleDB, which compresses them by itself.

use crate::error::{Error, Result};
use sqlx::PgPool;
use std::time::Duration;

/// Makes the partitions of this month and so many following ones, or the chunks of this week and the next, as far as they
/// are missing; answers how many it made. The planner is told of those that others made, as TimescaleDB does when rows come.
pub async fn ensure(pool: &PgPool, months_ahead: u32) -> Result<i32> {
    let months_ahead =
        i32::try_from(months_ahead).map_err(|error| Error::Internal(error.into()))?;
    let made = sqlx::query_scalar("SELECT ensure_partitions(now(), $1)")
        .bind(months_ahead)
        .fetch_one(pool)
        .await?;

    // Only a plan is worse without.
    if let Err(error) = sqlx::query("SELECT keep_owner_statistics()")
        .execute(pool)
        .await
    {
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            "the planner is not told of new partitions"
        );
    }
    Ok(made)
}

/// Has TimescaleDB compress what is older than `age`, or nothing; answers whether that is new. Does nothing where there
/// is no TimescaleDB.
pub async fn compress_after(pool: &PgPool, age: Option<Duration>) -> Result<bool> {
    let changed = sqlx::query_scalar("SELECT set_compression_age($1)")
        .bind(age)
        .fetch_one(pool)
        .await?;
    Ok(changed)
}
