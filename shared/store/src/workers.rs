//! The live workers. Leases use the database's clock only, so that no clocks need to agree.

use crate::by_id;
use crate::error::Result;
use crate::lanes::columns::convert;
use sqlx::PgPool;
use std::time::Duration;
use uuid::Uuid;

/// A worker process.
#[derive(Clone, Debug)]
pub struct Worker {
    /// Id of its row.
    pub id: Uuid,
    /// Random per process start; the owner token of its lanes.
    pub owner: Uuid,
    /// Version of the program.
    pub version: &'static str,
    /// Name of its host.
    pub host: String,
}

/// The workers that are alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Living {
    /// Their number.
    pub count: u32,
    /// Whether all of them continue the detours of lanes that they take over; earlier versions do not know them.
    pub keep_detours: bool,
}

/// Extends the lease of a worker to `lease` from now. Returns the living workers, including itself.
pub async fn renew(pool: &PgPool, worker: &Worker, lease: Duration) -> Result<Living> {
    sqlx::query(
        "INSERT INTO ingest_workers (id, owner_token, alive_until, version, host, keeps_detours) \
         VALUES ($1, $2, clock_timestamp() + $3, $4, $5, true) \
         ON CONFLICT (id) DO UPDATE SET alive_until = excluded.alive_until, updated_at = clock_timestamp()",
    )
    .bind(worker.id)
    .bind(worker.owner)
    .bind(lease)
    .bind(worker.version)
    .bind(&worker.host)
    .execute(pool)
    .await?;

    let (others, keep_detours): (i64, bool) = sqlx::query_as(
        "SELECT count(*), coalesce(bool_and(keeps_detours), true) FROM ingest_workers \
         WHERE id <> $1 AND alive_until > clock_timestamp()",
    )
    .bind(worker.id)
    .fetch_one(pool)
    .await?;
    Ok(Living {
        count: convert(others + 1)?,
        keep_detours,
    })
}

/// Removes a worker that ends cleanly, before its lease does.
pub async fn remove(pool: &PgPool, worker: &Worker) -> Result<()> {
    by_id::execute(pool, worker.id, "DELETE FROM ingest_workers WHERE id = $1").await
}

/// Removes workers whose lease ended a day ago or earlier; until then their rows help to diagnose.
pub async fn forget_dead(pool: &PgPool) -> Result<()> {
    sqlx::query(
        "DELETE FROM ingest_workers WHERE alive_until < clock_timestamp() - interval '1 day'",
    )
    .execute(pool)
    .await?;
    Ok(())
}
