//! The living workers. Times are the database's, so that no two clocks need to agree.

use crate::error::Result;
use crate::lanes::columns::convert;
use sqlx::PgPool;
use std::time::Duration;
use uuid::Uuid;

/// A worker process, as it presents itself to the others.
#[derive(Clone, Debug)]
pub struct Worker {
    /// Its row.
    pub id: Uuid,
    /// Random per process start; stands in the owner column of its lanes.
    pub owner: Uuid,
    /// Version of the program.
    pub version: &'static str,
    /// Where it runs.
    pub host: String,
}

/// Keeps `worker` alive for another `lease`. Returns how many workers are alive, itself included.
pub async fn renew(pool: &PgPool, worker: &Worker, lease: Duration) -> Result<u32> {
    sqlx::query(
        "INSERT INTO ingest_workers (id, owner_token, alive_until, version, host) \
         VALUES ($1, $2, clock_timestamp() + $3, $4, $5) \
         ON CONFLICT (id) DO UPDATE SET alive_until = excluded.alive_until, updated_at = clock_timestamp()",
    )
    .bind(worker.id)
    .bind(worker.owner)
    .bind(lease)
    .bind(worker.version)
    .bind(&worker.host)
    .execute(pool)
    .await?;

    let others: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM ingest_workers WHERE id <> $1 AND alive_until > clock_timestamp()",
    )
    .bind(worker.id)
    .fetch_one(pool)
    .await?;

    convert(others + 1)
}

/// Takes the worker off the list at once: it ended cleanly.
pub async fn remove(pool: &PgPool, worker: &Worker) -> Result<()> {
    sqlx::query("DELETE FROM ingest_workers WHERE id = $1")
        .bind(worker.id)
        .execute(pool)
        .await?;
    Ok(())
}

/// Forgets workers that died a day ago or earlier; until then their rows show who was there.
pub async fn forget_dead(pool: &PgPool) -> Result<()> {
    sqlx::query(
        "DELETE FROM ingest_workers WHERE alive_until < clock_timestamp() - interval '1 day'",
    )
    .execute(pool)
    .await?;
    Ok(())
}
