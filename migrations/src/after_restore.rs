//! What a database restored from a backup needs before services may use it.
//!
//! Owns: undoing what was true when the backup was taken and is not now. Must not know: where the backup came from.

use crate::lock::under_lock;
use anyhow::{Context, Result};
use sqlx::PgConnection;

/// What is added to every lane's epoch, above any number of owners since the backup: a worker that owned a lane
/// before the restore must not find its old epoch again.
const EPOCH_STEP: i64 = 1_000_000;

/// How much was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restored {
    /// Sessions revoked: everybody signs in again.
    pub sessions_revoked: u64,
    /// Login attempts under way that were forgotten; a used one must not work a second time.
    pub login_states_removed: u64,
    /// Open dead letters that will be published to the dead letter stream again.
    pub letters_to_publish: u64,
    /// Lanes whose epoch was raised and whose owner was cleared.
    pub lanes_raised: u64,
    /// Partitions made because the backup is from an earlier month.
    pub partitions_made: i32,
}

/// Prepares a restored database, in one transaction. Running it again does no harm beyond signing everybody out.
pub async fn after_restore(database_url: &str) -> Result<Restored> {
    under_lock(database_url, async |pool| {
        let mut transaction = pool.begin().await?;
        let restored = prepare(&mut transaction)
            .await
            .context("nothing was changed")?;

        transaction.commit().await?;
        Ok(restored)
    })
    .await
}

async fn prepare(connection: &mut PgConnection) -> sqlx::Result<Restored> {
    // First, as every worker does: ingest may run already, and works on letters while it has a lane.
    sqlx::query("LOCK TABLE ingest_lanes IN EXCLUSIVE MODE")
        .execute(&mut *connection)
        .await?;

    let sessions = sqlx::query(
        "UPDATE sessions SET revoked_at = now(), updated_at = now() WHERE revoked_at IS NULL",
    )
    .execute(&mut *connection)
    .await?;

    let states = sqlx::query("DELETE FROM oauth_states")
        .execute(&mut *connection)
        .await?;

    let letters = sqlx::query(
        "UPDATE dead_letters SET published_at = NULL, updated_at = now()
         WHERE status = 'open' AND published_at IS NOT NULL",
    )
    .execute(&mut *connection)
    .await?;

    let lanes = sqlx::query(
        "UPDATE ingest_lanes SET epoch = epoch + $1, owner = NULL, lease_until = NULL, updated_at = now()",
    )
    .bind(EPOCH_STEP)
    .execute(&mut *connection)
    .await?;

    let partitions_made = sqlx::query_scalar("SELECT ensure_partitions(now(), 3)")
        .fetch_one(connection)
        .await?;

    Ok(Restored {
        sessions_revoked: sessions.rows_affected(),
        login_states_removed: states.rows_affected(),
        letters_to_publish: letters.rows_affected(),
        lanes_raised: lanes.rows_affected(),
        partitions_made,
    })
}
