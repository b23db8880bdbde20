//! Monthly partitions of the history tables.

use crate::error::Result;
use sqlx::PgPool;

/// How far ahead partitions are made.
const MONTHS_AHEAD: i32 = 3;

/// Makes the partitions of this month and the next ones, as far as they are missing; answers how many it made.
pub async fn ensure(pool: &PgPool) -> Result<i32> {
    let made: i32 =
        sqlx::query_scalar("SELECT ensure_partitions(now(), $1)").bind(MONTHS_AHEAD).fetch_one(pool).await?;
    Ok(made)
}
