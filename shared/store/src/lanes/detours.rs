//! Detours: users whose messages a lane passes over, because they publish more than their share, and processes beside those of
//! others. A detour has a cursor of its own, and ends when it has caught up with the lane's.

use super::columns::{KeyColumns, convert, known_streams, sequences};
use crate::column::values;
use crate::error::Result;
use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgExecutor};
use std::collections::BTreeSet;
use tiris_domain::ids::UserId;
use tiris_domain::lane::LaneKey;
use uuid::Uuid;

/// A user of a lane whose messages are passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Detour {
    /// The user in the subject of the messages.
    pub user_id: Uuid,
    /// The user's messages up to this stream sequence are processed, and of the later ones none.
    #[sqlx(try_from = "i64")]
    pub cursor: u64,
    /// The number of messages that were passed over and are not processed.
    #[sqlx(try_from = "i64")]
    pub behind: u64,
    /// When the detour began.
    #[sqlx(rename = "created_at")]
    pub since: DateTime<Utc>,
}

/// Returns the detours of a lane.
pub async fn of_lane(executor: impl PgExecutor<'_>, key: LaneKey) -> Result<Vec<Detour>> {
    Ok(sqlx::query_as(
        "SELECT user_id, cursor, behind, created_at FROM lane_detours WHERE stream = $1 AND lane = $2 ORDER BY user_id",
    )
    .bind(key.stream.name())
    .bind(i32::from(key.lane))
    .fetch_all(executor)
    .await?)
}

/// Returns the lanes with detours.
pub async fn lanes(executor: impl PgExecutor<'_>) -> Result<BTreeSet<LaneKey>> {
    let lanes: Vec<KeyColumns> =
        sqlx::query_as("SELECT DISTINCT stream, lane FROM lane_detours WHERE stream = ANY($1)")
            .bind(known_streams())
            .fetch_all(executor)
            .await?;
    Ok(lanes.into_iter().map(LaneKey::from).collect())
}

/// The detours of a user, over all lanes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Slowed {
    /// When the first of them began.
    pub since: DateTime<Utc>,
    /// The number of messages that were passed over and are not processed.
    pub behind: i64,
}

/// Returns since when the messages of a user are passed over; `None` while they are not.
pub async fn of_user(executor: impl PgExecutor<'_>, user: UserId) -> Result<Option<Slowed>> {
    Ok(sqlx::query_as(
        "SELECT min(created_at) AS since, sum(behind)::bigint AS behind FROM lane_detours WHERE user_id = $1 \
         HAVING count(*) > 0",
    )
    .bind(user.0)
    .fetch_optional(executor)
    .await?)
}

/// The messages of a user that a batch passes over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passed {
    /// The user in the subject of the messages.
    pub user: Uuid,
    /// Where the detour begins, if the batch begins it: the user's messages up to here are processed.
    pub from: u64,
    /// Their number.
    pub count: u64,
}

/// Begins and extends the detours of messages that a batch passes over, inside the transaction that moves the lane's cursor
/// past them.
pub async fn pass(
    connection: &mut PgConnection,
    key: LaneKey,
    stream_created_at: i64,
    passed: &[Passed],
) -> Result<()> {
    if passed.is_empty() {
        return Ok(());
    }

    sqlx::query(
        "INSERT INTO lane_detours AS d (stream, lane, stream_created_at, user_id, cursor, behind) \
         SELECT $1, $2, $3, p.* FROM UNNEST($4::uuid[], $5::bigint[], $6::bigint[]) AS p (user_id, cursor, behind) \
         ON CONFLICT (stream, lane, user_id) \
         DO UPDATE SET behind = d.behind + excluded.behind, updated_at = clock_timestamp()",
    )
    .bind(key.stream.name())
    .bind(i32::from(key.lane))
    .bind(stream_created_at)
    .bind(values(passed, |passed| passed.user))
    .bind(sequences(passed.iter().map(|passed| passed.from))?)
    .bind(sequences(passed.iter().map(|passed| passed.count))?)
    .execute(connection)
    .await?;
    Ok(())
}

/// A step of a detour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Advance {
    /// The user of the detour.
    pub user: Uuid,
    /// The cursor of the detour, which must be the stored one.
    pub from: u64,
    /// The new cursor; `None` ends the detour, because no message of the user is left before the lane's cursor.
    pub to: Option<u64>,
    /// The number of messages that are processed now.
    pub count: u64,
}

/// Moves the cursor of a detour, or ends it, inside the transaction with the effects of its messages, which has locked the
/// lane's row. Returns false when the stored cursor is another one.
pub async fn advance(connection: &mut PgConnection, key: LaneKey, step: Advance) -> Result<bool> {
    let query = match step.to {
        Some(to) => sqlx::query(
            "UPDATE lane_detours SET cursor = $5, behind = behind - $6, updated_at = clock_timestamp() \
             WHERE stream = $1 AND lane = $2 AND user_id = $3 AND cursor = $4",
        )
        .bind(key.stream.name())
        .bind(i32::from(key.lane))
        .bind(step.user)
        .bind(convert::<_, i64>(step.from)?)
        .bind(convert::<_, i64>(to)?)
        .bind(convert::<_, i64>(step.count)?),
        None => sqlx::query(
            "DELETE FROM lane_detours WHERE stream = $1 AND lane = $2 AND user_id = $3 AND cursor = $4",
        )
        .bind(key.stream.name())
        .bind(i32::from(key.lane))
        .bind(step.user)
        .bind(convert::<_, i64>(step.from)?),
    };
    let changed = query.execute(connection).await?;
    Ok(changed.rows_affected() == 1)
}
