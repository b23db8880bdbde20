//! Lanes: who owns each, with which epoch, and how far it is. The cursor means that every message of the lane up to
//! this stream sequence is done.

pub(crate) mod columns;

use crate::error::Result;
use chrono::{DateTime, Utc};
use columns::{KeyColumns, convert};
use sqlx::{PgConnection, PgPool};
use std::time::Duration;
use tiris_domain::lane::LaneKey;
use tiris_domain::states::LaneStatus;
use uuid::Uuid;

/// How far a lane is, as stored.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct LaneState {
    /// Raised at every change of owner; a worker with an older one cannot write.
    pub epoch: i64,
    /// The owner's token, none when free.
    pub owner: Option<Uuid>,
    /// Last stream sequence that is done.
    #[sqlx(try_from = "i64")]
    pub cursor: u64,
    /// Of the message at the cursor; none when there was no message or it has expired.
    pub fingerprint: Option<Vec<u8>>,
    /// Creation time of the stream the cursor belongs to, nanoseconds since 1970.
    pub stream_created_at: i64,
}

/// A lane that was taken.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct TakenLane {
    /// Which one.
    #[sqlx(flatten, try_from = "KeyColumns")]
    pub key: LaneKey,
    /// Where it continues.
    #[sqlx(flatten)]
    pub state: LaneState,
}

/// Inserts the rows of lanes, as far as they are missing. A new lane starts at the beginning of its stream.
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

/// Takes at most `limit` lanes that are free or whose lease is over, each with a new epoch, so that an earlier owner can
/// write no more. Lanes that another worker is taking at this moment are passed over.
pub async fn take_free(
    pool: &PgPool,
    owner: Uuid,
    lease: Duration,
    limit: u32,
) -> Result<Vec<TakenLane>> {
    let taken = sqlx::query_as(
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
    .await?;

    Ok(taken)
}

/// Takes one lane from its owner, with a new epoch; for an operator and for tests.
pub async fn seize(pool: &PgPool, key: LaneKey, owner: Uuid, lease: Duration) -> Result<LaneState> {
    let state = sqlx::query_as(
        "UPDATE ingest_lanes SET epoch = epoch + 1, owner = $3, lease_until = clock_timestamp() + $4, \
         updated_at = clock_timestamp() WHERE stream = $1 AND lane = $2 \
         RETURNING epoch, owner, cursor, fingerprint, stream_created_at",
    )
    .bind(key.stream.name())
    .bind(i32::from(key.lane))
    .bind(owner)
    .bind(lease)
    .fetch_one(pool)
    .await?;
    Ok(state)
}

/// What an owner reports of one of its lanes when it renews the lease.
#[derive(Clone, Debug)]
pub struct Report {
    /// Which lane.
    pub key: LaneKey,
    /// What it is doing.
    pub status: LaneStatus,
    /// Why it does not run.
    pub reason: Option<String>,
    /// Messages that are not committed, as far as known.
    pub lag_messages: Option<u64>,
    /// Whether they are counted; else it is an upper bound.
    pub lag_exact: bool,
    /// Age of the oldest of them, as far as known.
    pub lag_age: Option<Duration>,
}

/// Renews the leases of those of the reported lanes that `owner` still holds, and stores the reports; lanes in the middle
/// of a commit renew their own.
pub async fn renew(pool: &PgPool, owner: Uuid, lease: Duration, reports: &[Report]) -> Result<()> {
    let (streams, lanes) = columns::of_keys(reports.iter().map(|report| &report.key));
    let messages = reports
        .iter()
        .map(|report| report.lag_messages.map(convert).transpose())
        .collect::<Result<Vec<Option<i64>>>>()?;
    let seconds = |report: &Report| report.lag_age.map(|age| age.as_secs_f64());

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
    .bind(reports.iter().map(|report| report.status.as_str()).collect::<Vec<_>>())
    .bind(reports.iter().map(|report| report.reason.as_deref()).collect::<Vec<_>>())
    .bind(messages)
    .bind(reports.iter().map(|report| report.lag_exact).collect::<Vec<_>>())
    .bind(reports.iter().map(seconds).collect::<Vec<_>>())
    .execute(pool)
    .await?;
    Ok(())
}

/// A lane that a worker holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct HeldLane {
    /// Which one.
    #[sqlx(flatten, try_from = "KeyColumns")]
    pub key: LaneKey,
    /// Its epoch.
    pub epoch: i64,
}

/// The lanes `owner` holds by the database. After a restore, or when an operator seized a lane, they are not those it
/// believes to hold.
pub async fn held(pool: &PgPool, owner: Uuid) -> Result<Vec<HeldLane>> {
    let lanes = sqlx::query_as(
        "SELECT stream, lane, epoch FROM ingest_lanes WHERE owner = $1 AND stream = ANY($2)",
    )
    .bind(owner)
    .bind(columns::known_streams())
    .fetch_all(pool)
    .await?;
    Ok(lanes)
}

/// The lane's row as it is now; none when it was never taken.
pub async fn find(pool: &PgPool, key: LaneKey) -> Result<Option<LaneState>> {
    let state = sqlx::query_as(
        "SELECT epoch, owner, cursor, fingerprint, stream_created_at FROM ingest_lanes \
         WHERE stream = $1 AND lane = $2",
    )
    .bind(key.stream.name())
    .bind(i32::from(key.lane))
    .fetch_optional(pool)
    .await?;
    Ok(state)
}

/// The lane's row under lock: a transaction that moves its cursor holds it.
pub async fn lock(connection: &mut PgConnection, key: LaneKey) -> Result<Option<LaneState>> {
    let state = sqlx::query_as(
        "SELECT epoch, owner, cursor, fingerprint, stream_created_at FROM ingest_lanes \
         WHERE stream = $1 AND lane = $2 FOR NO KEY UPDATE",
    )
    .bind(key.stream.name())
    .bind(i32::from(key.lane))
    .fetch_optional(connection)
    .await?;
    Ok(state)
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

/// Where a lane's cursor goes.
#[derive(Clone, Copy, Debug)]
pub struct Move<'a> {
    /// Last stream sequence that is done.
    pub cursor: u64,
    /// Of the message there, when there is one.
    pub fingerprint: Option<&'a [u8]>,
    /// Messages of this lane that are done by it, for the count of the day.
    pub events: usize,
    /// The `timestamp` of the rows this transaction wrote, when there are any.
    pub booked_at: Option<DateTime<Utc>>,
}

/// Moves the cursor inside the transaction that holds the effects of the messages up to it, and renews the lease. It is the
/// last statement of that transaction and fails as `ledger::assert_fresh` does.
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

/// Where a lane goes on whose cursor and stream did not belong together.
#[derive(Clone, Copy, Debug)]
pub struct Restart {
    /// What was wrong, by its stable name.
    pub kind: &'static str,
    /// Last stream sequence that counts as done.
    pub cursor: u64,
    /// Whether the stream may have other messages now where the lane had read some.
    pub reuses_sequences: bool,
    /// Creation time of the stream it goes on with, nanoseconds since 1970.
    pub stream_created_at: i64,
}

/// Sets the cursor of a lane whose row the caller has locked, and keeps a record of it in the row: the last twenty.
/// Letters that wait go before everything the lane reads from now on, also where the stream gives their sequences to
/// other messages.
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

/// Gives one lane back, when `owner` still holds it with this epoch.
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
