//! Lanes: who owns each, with which epoch, and how far it is. The cursor means that every message of the lane up to
//! this stream sequence is done.

use crate::error::Result;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

/// How far a lane is, as stored.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct LaneState {
    /// Raised at every change of owner; a worker with an older one cannot write.
    pub epoch: i64,
    /// The owner's token, none when free.
    pub owner: Option<Uuid>,
    /// Last stream sequence that is done.
    pub cursor: i64,
    /// Of the message at the cursor; none when there was no message or it has expired.
    pub fingerprint: Option<Vec<u8>>,
    /// Creation time of the stream the cursor belongs to, nanoseconds since 1970.
    pub stream_created_at: i64,
}

/// Makes the row of a lane when it is missing, and takes the lane for `owner` with a new epoch.
pub async fn take(
    pool: &PgPool,
    stream: &str,
    lane: i32,
    stream_created_at: i64,
    owner: Uuid,
) -> Result<LaneState> {
    let state = sqlx::query_as(
        "INSERT INTO ingest_lanes (stream, lane, stream_created_at, epoch, owner) VALUES ($1, $2, $3, 1, $4) \
         ON CONFLICT (stream, lane) DO UPDATE SET epoch = ingest_lanes.epoch + 1, owner = excluded.owner, \
         updated_at = clock_timestamp() \
         RETURNING epoch, owner, cursor, fingerprint, stream_created_at",
    )
    .bind(stream)
    .bind(lane)
    .bind(stream_created_at)
    .bind(owner)
    .fetch_one(pool)
    .await?;
    Ok(state)
}

/// The lane's row as it is now; none when it was never taken.
pub async fn find(pool: &PgPool, stream: &str, lane: i32) -> Result<Option<LaneState>> {
    let state = sqlx::query_as(
        "SELECT epoch, owner, cursor, fingerprint, stream_created_at FROM ingest_lanes \
         WHERE stream = $1 AND lane = $2",
    )
    .bind(stream)
    .bind(lane)
    .fetch_optional(pool)
    .await?;
    Ok(state)
}

/// The lane's row under lock: whoever moves its cursor holds this.
pub async fn lock(connection: &mut PgConnection, stream: &str, lane: i32) -> Result<Option<LaneState>> {
    let state = sqlx::query_as(
        "SELECT epoch, owner, cursor, fingerprint, stream_created_at FROM ingest_lanes \
         WHERE stream = $1 AND lane = $2 FOR NO KEY UPDATE",
    )
    .bind(stream)
    .bind(lane)
    .fetch_optional(connection)
    .await?;
    Ok(state)
}

/// Moves the cursor inside the transaction that holds the effects of the messages up to it.
pub async fn move_cursor(
    connection: &mut PgConnection,
    stream: &str,
    lane: i32,
    cursor: i64,
    fingerprint: &[u8],
) -> Result<()> {
    sqlx::query(
        "UPDATE ingest_lanes SET cursor = $3, fingerprint = $4, last_commit_at = clock_timestamp(), \
         updated_at = clock_timestamp() WHERE stream = $1 AND lane = $2",
    )
    .bind(stream)
    .bind(lane)
    .bind(cursor)
    .bind(fingerprint)
    .execute(connection)
    .await?;
    Ok(())
}

/// Gives back every lane `owner` still holds.
pub async fn release_all(pool: &PgPool, owner: Uuid) -> Result<()> {
    sqlx::query(
        "UPDATE ingest_lanes SET owner = NULL, lease_until = NULL, updated_at = clock_timestamp() WHERE owner = $1",
    )
    .bind(owner)
    .execute(pool)
    .await?;
    Ok(())
}
