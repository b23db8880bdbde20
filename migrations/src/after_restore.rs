//! Prepares a database restored from a backup for the services.

use crate::lock::under_lock;
use crate::roles;
use anyhow::{Context, Result};
use sqlx::PgConnection;

/// The changes to a restored database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restored {
    /// Revoked sessions: all users must sign in again.
    pub sessions_revoked: u64,
    /// Deleted pending logins, because a used one must not work a second time.
    pub logins_deleted: u64,
    /// Open dead letters that will be published to the dead letter stream again.
    pub dead_letters_to_publish: u64,
    /// Lanes with a raised epoch and without an owner.
    pub lanes_raised: u64,
    /// Partitions created because the backup is from an earlier month.
    pub partitions_created: i32,
}

/// Prepares a restored database in one transaction. A second run changes little, but revokes all sessions again.
pub async fn after_restore(database_url: &str) -> Result<Restored> {
    under_lock(database_url, async |pool| {
        let mut transaction = pool.begin().await?;
        let restored = prepare(&mut transaction)
            .await
            .context("nothing was changed")?;
        // Those of the database are not part of a dump.
        roles::apply(&mut transaction).await?;

        transaction.commit().await?;
        Ok(restored)
    })
    .await
}

async fn prepare(connection: &mut PgConnection) -> sqlx::Result<Restored> {
    // First, as in every worker: ingest may run already, and changes dead letters while it owns a lane.
    execute(connection, "LOCK TABLE ingest_lanes IN EXCLUSIVE MODE").await?;

    Ok(Restored {
        sessions_revoked: execute(
            connection,
            "UPDATE sessions SET revoked_at = now(), updated_at = now() WHERE revoked_at IS NULL",
        )
        .await?,
        logins_deleted: execute(connection, "DELETE FROM oauth_states").await?,
        dead_letters_to_publish: execute(
            connection,
            "UPDATE dead_letters SET published_at = NULL, updated_at = now()
             WHERE status = 'open' AND published_at IS NOT NULL",
        )
        .await?,
        // The step exceeds the number of owners since the backup, so that no worker meets its old epoch again.
        lanes_raised: execute(
            connection,
            "UPDATE ingest_lanes SET epoch = epoch + 1000000, owner = NULL, lease_until = NULL, updated_at = now()",
        )
        .await?,
        partitions_created: sqlx::query_scalar("SELECT ensure_partitions(now(), 3)")
            .fetch_one(connection)
            .await?,
    })
}

/// Executes a statement and returns the number of affected rows.
async fn execute(connection: &mut PgConnection, statement: &'static str) -> sqlx::Result<u64> {
    let done = sqlx::query(statement).execute(connection).await?;
    Ok(done.rows_affected())
}
