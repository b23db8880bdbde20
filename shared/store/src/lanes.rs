//! Lanes: owner, epoch, lease and cursor of each. Every message of the lane up to the stream sequence of the cursor is done,
//! except those of [`detours`].

pub(crate) mod columns;
pub mod detours;

use crate::column::values;
use crate::error::Result;
use chrono::{DateTime, Utc};
use columns::{KeyColumns, convert};
use sqlx::{PgConnection, PgExecutor, PgPool};
use std::time::Duration;
use tiris_domain::lane::{EventStream, LaneKey};
use tiris_domain::states::LaneStatus;
use uuid::Uuid;

/// The stored state of a lane.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct LaneState {
    /// Incremented at every change of owner; a worker with an older epoch cannot write.
    pub epoch: i64,
    /// Token of the owner; `None` when the lane is free.
    pub owner: Option<Uuid>,
    /// Last stream sequence that is done, except for detours.
    #[sqlx(try_from = "i64")]
    pub cursor: u64,
    /// Fingerprint of the message at the cursor; `None` without a message, or when it has expired.
    pub fingerprint: Option<Vec<u8>>,
    /// Creation time of the stream the cursor belongs to, nanoseconds since 1970.
    pub stream_created_at: i64,
}

/// A lane that a worker has taken.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct TakenLane {
    /// The lane.
    #[sqlx(flatten, try_from = "KeyColumns")]
    pub key: LaneKey,
    /// The state to continue from.
    #[sqlx(flatten)]
    pub state: LaneState,
}

/// Inserts the missing rows of lanes. A new lane starts at the beginning of its stream.
pub async fn ensure(pool: &PgPool, keys: &[LaneKey], stream_created_at: i64) -> Result<()> {
    let (streams, lanes) = columns::of_keys(keys);
    sqlx::query(
        "INSERT INTO ingest_lanes (stream, lane, stream_created_at) \
         SELECT k.stream, k.lane, $3 FROM UNNEST($1::text[], $2::int[]) AS k (stream, lane) \
         ON CONFLICT (stream, lane) DO NOTHING",
    )
    .bind(streams)
    .bind(lanes)
    .bind(stream_created_at)
    .execute(pool)
    .await?;
    Ok(())
}

/// Returns the lowest cursor of the lanes of a stream and their detours, up to which every message is done. 0 without lanes,
/// and where a cursor belongs to a stream that was created at another time.
pub async fn lowest_cursor(
    pool: &PgPool,
    stream: EventStream,
    stream_created_at: i64,
) -> Result<u64> {
    let cursor: i64 = sqlx::query_scalar(
        "SELECT COALESCE(min(CASE WHEN stream_created_at = $2 THEN cursor ELSE 0 END), 0) FROM ( \
             SELECT stream_created_at, cursor FROM ingest_lanes WHERE stream = $1 \
             UNION ALL \
             SELECT stream_created_at, cursor FROM lane_detours WHERE stream = $1 AND stream_created_at = $2) AS cursors",
    )
    .bind(stream.name())
    .bind(stream_created_at)
    .fetch_one(pool)
    .await?;

    u64::try_from(cursor).map_err(|error| sqlx::Error::Decode(error.into()).into())
}

/// Takes at most `limit` lanes that are free or whose lease has ended, each with a new epoch, so that an earlier owner can no
/// longer write. Skips lanes that another worker is taking.
pub async fn take_free(
    pool: &PgPool,
    owner: Uuid,
    lease: Duration,
    limit: u32,
) -> Result<Vec<TakenLane>> {
    Ok(sqlx::query_as(
        "UPDATE ingest_lanes l SET epoch = l.epoch + 1, owner = $1, lease_until = clock_timestamp() + $2, \
         status = 'starting', status_reason = NULL, updated_at = clock_timestamp() \
         FROM (SELECT stream, lane FROM ingest_lanes \
               WHERE stream = ANY($4) AND (owner IS NULL OR lease_until IS NULL OR lease_until < clock_timestamp()) \
               ORDER BY stream, lane LIMIT $3 FOR NO KEY UPDATE SKIP LOCKED) AS free \
         WHERE l.stream = free.stream AND l.lane = free.lane \
         RETURNING l.stream, l.lane, l.epoch, l.owner, l.cursor, l.fingerprint, l.stream_created_at",
    )
    .bind(owner)
    .bind(lease)
    .bind(i64::from(limit))
    .bind(columns::known_streams())
    .fetch_all(pool)
    .await?)
}

/// Takes a lane from its owner, with a new epoch; for operators and tests.
pub async fn seize(pool: &PgPool, key: LaneKey, owner: Uuid, lease: Duration) -> Result<LaneState> {
    Ok(sqlx::query_as(
        "UPDATE ingest_lanes SET epoch = epoch + 1, owner = $3, lease_until = clock_timestamp() + $4, \
         updated_at = clock_timestamp() WHERE stream = $1 AND lane = $2 \
         RETURNING epoch, owner, cursor, fingerprint, stream_created_at",
    )
    .bind(key.stream.name())
    .bind(i32::from(key.lane))
    .bind(owner)
    .bind(lease)
    .fetch_one(pool)
    .await?)
}

/// The report of an owner on one of its lanes when it renews the lease.
#[derive(Clone, Debug)]
pub struct Report {
    /// The lane.
    pub key: LaneKey,
    /// Status of the lane.
    pub status: LaneStatus,
    /// The reason why the lane does not run.
    pub reason: Option<String>,
    /// Uncommitted messages, if known.
    pub lag_messages: Option<u64>,
    /// Whether the messages are counted; otherwise the number is an upper bound.
    pub lag_exact: bool,
    /// Age of the oldest uncommitted message, if known.
    pub lag_age: Option<Duration>,
}

/// Renews the leases of those of the reported lanes that `owner` still holds, and stores the reports. Skips lanes whose commit
/// is in progress; that renews the lease itself.
pub async fn renew(pool: &PgPool, owner: Uuid, lease: Duration, reports: &[Report]) -> Result<()> {
    let (streams, lanes) = columns::of_keys(reports.iter().map(|report| &report.key));
    let messages = reports
        .iter()
        .map(|report| report.lag_messages.map(convert).transpose())
        .collect::<Result<Vec<Option<i64>>>>()?;

    sqlx::query(
        "UPDATE ingest_lanes l SET lease_until = clock_timestamp() + $2, status = mine.status, \
         status_reason = mine.reason, lag_messages = mine.messages, lag_exact = mine.exact, \
         lag_seconds = mine.seconds, lag_at = clock_timestamp() \
         FROM (SELECT stream, lane, r.status, r.reason, r.messages, r.exact, r.seconds FROM ingest_lanes \
               JOIN UNNEST($3::text[], $4::int[], $5::text[], $6::text[], $7::bigint[], $8::boolean[], $9::float8[]) \
               AS r (stream, lane, status, reason, messages, exact, seconds) \
               USING (stream, lane) WHERE owner = $1 ORDER BY stream, lane \
               FOR NO KEY UPDATE OF ingest_lanes SKIP LOCKED) AS mine \
         WHERE l.stream = mine.stream AND l.lane = mine.lane",
    )
    .bind(owner)
    .bind(lease)
    .bind(streams)
    .bind(lanes)
    .bind(values(reports, |report| report.status.as_str()))
    .bind(values(reports, |report| report.reason.as_deref()))
    .bind(messages)
    .bind(values(reports, |report| report.lag_exact))
    .bind(values(reports, |report| report.lag_age.map(|age| age.as_secs_f64())))
    .execute(pool)
    .await?;
    Ok(())
}

/// A lane that a worker holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct HeldLane {
    /// The lane.
    #[sqlx(flatten, try_from = "KeyColumns")]
    pub key: LaneKey,
    /// Epoch of the lane.
    pub epoch: i64,
}

/// Returns the lanes that `owner` holds according to the database. After a restore, or when an operator has seized a lane,
/// they differ from those the owner has in memory.
pub async fn held(pool: &PgPool, owner: Uuid) -> Result<Vec<HeldLane>> {
    Ok(sqlx::query_as(
        "SELECT stream, lane, epoch FROM ingest_lanes WHERE owner = $1 AND stream = ANY($2)",
    )
    .bind(owner)
    .bind(columns::known_streams())
    .fetch_all(pool)
    .await?)
}

/// Returns the state of a lane; `None` when the lane has no row.
pub async fn find(pool: &PgPool, key: LaneKey) -> Result<Option<LaneState>> {
    const SQL: &str = "SELECT epoch, owner, cursor, fingerprint, stream_created_at FROM ingest_lanes \
         WHERE stream = $1 AND lane = $2";
    read(pool, key, SQL).await
}

/// Locks the row of a lane, as every transaction that moves its cursor must.
pub async fn lock(connection: &mut PgConnection, key: LaneKey) -> Result<Option<LaneState>> {
    const SQL: &str = "SELECT epoch, owner, cursor, fingerprint, stream_created_at FROM ingest_lanes \
         WHERE stream = $1 AND lane = $2 FOR NO KEY UPDATE";
    read(connection, key, SQL).await
}

async fn read(
    executor: impl PgExecutor<'_>,
    key: LaneKey,
    sql: &'static str,
) -> Result<Option<LaneState>> {
    Ok(sqlx::query_as(sql)
        .bind(key.stream.name())
        .bind(i32::from(key.lane))
        .fetch_optional(executor)
        .await?)
}

/// Renews the lease of a lane whose row the caller has locked.
pub async fn renew_locked(
    connection: &mut PgConnection,
    key: LaneKey,
    lease: Duration,
) -> Result<()> {
    sqlx::query(
        "UPDATE ingest_lanes SET lease_until = clock_timestamp() + $3 WHERE stream = $1 AND lane = $2",
    )
    .bind(key.stream.name())
    .bind(i32::from(key.lane))
    .bind(lease)
    .execute(connection)
    .await?;
    Ok(())
}

/// A new place of a lane's cursor.
#[derive(Clone, Copy, Debug)]
pub struct Move<'a> {
    /// Last stream sequence that is done.
    pub cursor: u64,
    /// Fingerprint of the message at the cursor, if there is one.
    pub fingerprint: Option<&'a [u8]>,
    /// Messages of this lane that are done now, for the count of the day.
    pub events: usize,
    /// The `timestamp` of the rows this transaction wrote, if any.
    pub booked_at: Option<DateTime<Utc>>,
}

/// Moves the cursor inside the transaction with the effects of the messages up to it, and renews the lease. It is the last
/// statement of that transaction and fails as `ledger::assert_fresh` does.
pub async fn move_cursor(
    connection: &mut PgConnection,
    key: LaneKey,
    to: Move<'_>,
    lease: Duration,
) -> Result<()> {
    sqlx::query(
        "UPDATE ingest_lanes SET cursor = $3, fingerprint = $4, last_commit_at = clock_timestamp(), \
         lease_until = clock_timestamp() + $5, updated_at = clock_timestamp(), \
         events_today = $6 + CASE WHEN events_day = (now() AT TIME ZONE 'UTC')::date THEN events_today ELSE 0 END, \
         events_day = (now() AT TIME ZONE 'UTC')::date WHERE stream = $1 AND lane = $2 RETURNING assert_fresh($7)",
    )
    .bind(key.stream.name())
    .bind(i32::from(key.lane))
    .bind(convert::<_, i64>(to.cursor)?)
    .bind(to.fingerprint)
    .bind(lease)
    .bind(convert::<_, i64>(to.events)?)
    .bind(to.booked_at)
    .execute(connection)
    .await?;

    Ok(())
}

/// A new start for a lane whose cursor does not belong to its stream.
#[derive(Clone, Copy, Debug)]
pub struct Restart {
    /// Stable name of the mismatch.
    pub kind: &'static str,
    /// Last stream sequence that counts as done.
    pub cursor: u64,
    /// Whether the stream may reuse sequences that the lane has read.
    pub reuses_sequences: bool,
    /// Creation time of the current stream, nanoseconds since 1970.
    pub stream_created_at: i64,
}

/// Sets the cursor of a lane whose row the caller has locked, and records that in the row, which keeps the last twenty
/// records. Waiting dead letters precede everything the lane reads from now on, even when the stream reuses their sequences.
pub async fn restart(connection: &mut PgConnection, key: LaneKey, to: Restart) -> Result<()> {
    sqlx::query(
        "UPDATE dead_letters SET stream_created_at = stream_created_at - 1 \
         WHERE stream = $1 AND lane = $2 AND blocks AND stream_created_at = $3 AND $4",
    )
    .bind(key.stream.name())
    .bind(i32::from(key.lane))
    .bind(to.stream_created_at)
    .bind(to.reuses_sequences)
    .execute(&mut *connection)
    .await?;
    // The lane reads the messages of these detours again.
    sqlx::query(
        "DELETE FROM lane_detours WHERE stream = $1 AND lane = $2 AND (cursor >= $3 OR stream_created_at <> $4)",
    )
    .bind(key.stream.name())
    .bind(i32::from(key.lane))
    .bind(convert::<_, i64>(to.cursor)?)
    .bind(to.stream_created_at)
    .execute(&mut *connection)
    .await?;
    sqlx::query(
        "UPDATE ingest_lanes SET cursor = $3, fingerprint = NULL, stream_created_at = $4, updated_at = clock_timestamp(), \
         info = jsonb_set(info, '{restarts}', jsonb_path_query_array( \
             jsonb_build_array(jsonb_build_object('kind', $5::text, 'at', clock_timestamp(), 'from', cursor, 'to', $3::bigint)) \
             || coalesce(info->'restarts', '[]'), '$[0 to 19]')) \
         WHERE stream = $1 AND lane = $2",
    )
    .bind(key.stream.name())
    .bind(i32::from(key.lane))
    .bind(convert::<_, i64>(to.cursor)?)
    .bind(to.stream_created_at)
    .bind(to.kind)
    .execute(connection)
    .await?;

    Ok(())
}

/// Releases a lane that `owner` still holds with this epoch.
pub async fn release(pool: &PgPool, owner: Uuid, epoch: i64, key: LaneKey) -> Result<()> {
    sqlx::query(
        "UPDATE ingest_lanes SET owner = NULL, lease_until = NULL, updated_at = clock_timestamp() \
         WHERE stream = $1 AND lane = $2 AND owner = $3 AND epoch = $4",
    )
    .bind(key.stream.name())
    .bind(i32::from(key.lane))
    .bind(owner)
    .bind(epoch)
    .execute(pool)
    .await?;
    Ok(())
}

/// Releases every lane that `owner` still holds.
pub async fn release_all(pool: &PgPool, owner: Uuid) -> Result<()> {
    sqlx::query(
        "UPDATE ingest_lanes SET owner = NULL, lease_until = NULL, updated_at = clock_timestamp() WHERE owner = $1",
    )
    .bind(owner)
    .execute(pool)
    .await?;
    Ok(())
}
