//! Jobs that replay a time range of the streams: requested by an admin, done by any worker, chunk by chunk. The worker that
//! locks the row of a job works on it.

use crate::column::values;
use crate::error::{Error, Result};
use crate::lanes::columns::convert;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::types::Json;
use sqlx::{PgConnection, PgPool};
use std::collections::BTreeMap;
use tiris_domain::event::Kind;
use tiris_domain::ids::{UserId, new_id};
use tiris_domain::states::ReplayStatus;
use uuid::Uuid;

/// A replay job to create.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewJob {
    /// The requesting admin; `None` for the command line.
    pub requested_by: Option<UserId>,
    /// Start of the range, by the time at which the broker stored the messages.
    pub start_time: DateTime<Utc>,
    /// End of the range (exclusive).
    pub end_time: DateTime<Utc>,
    /// The only user to replay; `None` means all.
    pub user: Option<UserId>,
    /// The only kinds to replay; `None` means all.
    pub kinds: Option<Vec<Kind>>,
}

/// Progress of a job in one stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamProgress {
    /// Creation time of the stream, nanoseconds since 1970, which identifies it among streams of the same name.
    pub created_at: i64,
    /// First sequence of the range.
    pub first: u64,
    /// Next sequence to read.
    pub next: u64,
    /// Last sequence of the range; later messages are not read.
    pub last: u64,
}

/// Progress of a job by name of the stream, as a newer version may have begun a stream that this one does not know. A stream
/// that is missing was not begun.
pub type Progress = BTreeMap<String, StreamProgress>;

/// A stored job.
#[derive(Clone, Debug, PartialEq, sqlx::FromRow)]
pub struct Job {
    /// Id of the job.
    pub id: Uuid,
    /// The requesting admin; `None` for the command line.
    pub requested_by: Option<Uuid>,
    /// Start of the range, by the time at which the broker stored the messages.
    pub start_time: DateTime<Utc>,
    /// End of the range (exclusive).
    pub end_time: DateTime<Utc>,
    /// The only user to replay; `None` means all.
    pub user_id: Option<Uuid>,
    /// The only event types to replay, by their subjects without a user; `None` means all.
    pub event_types: Option<Vec<String>>,
    /// Status of the job.
    #[sqlx(try_from = "String")]
    pub status: ReplayStatus,
    /// Progress of the job.
    pub progress: Json<Progress>,
    /// Events that were missing or dead letters and are in the books now.
    pub applied: i64,
    /// Events that were processed before, including heartbeats, which are not in the books.
    pub duplicate: i64,
    /// Events that are still not in the books.
    pub rejected: i64,
    /// The reason of the failure, or of the current wait.
    pub reason: Option<String>,
    /// Parts of the range that the stream no longer had.
    pub remarks: Json<Vec<String>>,
    /// Time of the request.
    pub created_at: DateTime<Utc>,
    /// Time of the last progress.
    pub updated_at: DateTime<Utc>,
}

impl Job {
    /// Returns whether the job is done or failed.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        matches!(self.status, ReplayStatus::Done | ReplayStatus::Failed)
    }

    /// Returns the numbers of sequences read and to read, in all streams that were begun.
    #[must_use]
    pub fn position(&self) -> (u64, u64) {
        let read = |stream: &StreamProgress| stream.next.saturating_sub(stream.first);
        let all = |stream: &StreamProgress| (stream.last + 1).saturating_sub(stream.first);
        (
            self.progress.values().map(read).sum(),
            self.progress.values().map(all).sum(),
        )
    }

    /// Returns whether the job replays events of this kind.
    #[must_use]
    pub fn selects(&self, kind: Kind) -> bool {
        let names = |types: &Vec<String>| types.iter().any(|name| name == kind.bare_subject());
        self.event_types.as_ref().is_none_or(names)
    }
}

/// Events of a chunk, by outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReplayCounts {
    /// Applied now.
    pub applied: u64,
    /// Processed before.
    pub duplicate: u64,
    /// Still not in the books.
    pub rejected: u64,
}

macro_rules! columns {
    () => {
        "id, requested_by, start_time, end_time, user_id, event_types, status, progress, applied, duplicate, rejected, \
         reason, coalesce(info->'remarks', '[]') AS remarks, created_at, updated_at"
    };
}
macro_rules! select {
    ($rest:literal) => {
        concat!("SELECT ", columns!(), " FROM replay_jobs ", $rest)
    };
}

/// Creates a job; a worker begins it within seconds.
///
/// # Errors
/// [`Error::InvalidValue`] when the range is empty or no kind is named.
pub async fn create(connection: &mut PgConnection, job: &NewJob) -> Result<Job> {
    if job.start_time >= job.end_time {
        return Err(Error::invalid("end_time", "must be after start_time"));
    }
    if job.kinds.as_ref().is_some_and(Vec::is_empty) {
        return Err(Error::invalid(
            "event_types",
            "must name at least one type; omit it to replay all types",
        ));
    }

    let kinds = job.kinds.as_ref();
    let kinds = kinds.map(|kinds| values(kinds, |kind| kind.bare_subject()));
    Ok(sqlx::query_as(concat!(
        "INSERT INTO replay_jobs (id, requested_by, start_time, end_time, user_id, event_types) \
         VALUES ($1, $2, $3, $4, $5, $6) RETURNING ",
        columns!()
    ))
    .bind(new_id())
    .bind(job.requested_by.map(|user| user.0))
    .bind(job.start_time)
    .bind(job.end_time)
    .bind(job.user.map(|user| user.0))
    .bind(kinds)
    .fetch_one(connection)
    .await?)
}

/// Returns a job.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn get(connection: &mut PgConnection, id: Uuid) -> Result<Job> {
    let query = select!("WHERE id = $1");
    sqlx::query_as(query)
        .bind(id)
        .fetch_optional(connection)
        .await?
        .ok_or(Error::NotFound("replay"))
}

/// Returns the newest jobs after a position in their order, given by time and id; at most `limit`.
pub async fn list(
    connection: &mut PgConnection,
    after: Option<(DateTime<Utc>, Uuid)>,
    limit: u64,
) -> Result<Vec<Job>> {
    let jobs = sqlx::query_as(select!(
        "WHERE $1::timestamptz IS NULL OR (created_at, id) < ($1, $2) \
         ORDER BY created_at DESC, id DESC LIMIT $3"
    ));
    let jobs = jobs
        .bind(after.map(|(time, _)| time))
        .bind(after.map(|(_, id)| id))
        .bind(i64::try_from(limit).unwrap_or(i64::MAX));
    Ok(jobs.fetch_all(connection).await?)
}

/// Locks and returns the oldest job that has not ended. Skips those that another worker has locked.
pub async fn lock_next(connection: &mut PgConnection) -> Result<Option<Job>> {
    let job = sqlx::query_as(select!(
        "WHERE status IN ('queued', 'running') ORDER BY created_at, id LIMIT 1 \
         FOR UPDATE SKIP LOCKED"
    ));
    Ok(job.fetch_optional(connection).await?)
}

/// Like [`lock_next`], if that is `job` and has made no progress since it was read.
pub async fn lock_unchanged(connection: &mut PgConnection, job: &Job) -> Result<Option<Job>> {
    let next = lock_next(connection).await?;
    Ok(next.filter(|next| next.id == job.id && next.progress == job.progress))
}

/// Returns whether any job has not ended, without a lock.
pub async fn is_any_open(pool: &PgPool) -> Result<bool> {
    let any = sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM replay_jobs WHERE status IN ('queued', 'running'))",
    );
    Ok(any.fetch_one(pool).await?)
}

/// Stores the progress of a job, inside the transaction with the effects of the replayed events.
pub async fn advance(
    connection: &mut PgConnection,
    id: Uuid,
    progress: &Progress,
    counts: ReplayCounts,
    is_done: bool,
) -> Result<()> {
    sqlx::query(
        "UPDATE replay_jobs SET status = CASE WHEN $6 THEN 'done' ELSE 'running' END, progress = $2, reason = NULL, \
         applied = applied + $3, duplicate = duplicate + $4, rejected = rejected + $5, updated_at = clock_timestamp() \
         WHERE id = $1",
    )
    .bind(id)
    .bind(Json(progress))
    .bind(convert::<_, i64>(counts.applied)?)
    .bind(convert::<_, i64>(counts.duplicate)?)
    .bind(convert::<_, i64>(counts.rejected)?)
    .bind(is_done)
    .execute(connection)
    .await?;

    Ok(())
}

/// Adds a remark to a job.
pub async fn remark(connection: &mut PgConnection, id: Uuid, remark: &str) -> Result<()> {
    sqlx::query(
        "UPDATE replay_jobs SET info = jsonb_set(info, '{remarks}', coalesce(info->'remarks', '[]') || to_jsonb($2::text)) \
         WHERE id = $1",
    )
    .bind(id)
    .bind(remark)
    .execute(connection)
    .await?;
    Ok(())
}

/// Stores the reason why a job waits, until it makes progress. Does nothing when it has ended or a worker has locked it.
pub async fn note_trouble(pool: &PgPool, id: Uuid, why: &str) -> Result<()> {
    sqlx::query(
        "UPDATE replay_jobs SET reason = $2 WHERE id IN (SELECT id FROM replay_jobs \
         WHERE id = $1 AND status IN ('queued', 'running') FOR UPDATE SKIP LOCKED)",
    )
    .bind(id)
    .bind(why)
    .execute(pool)
    .await?;
    Ok(())
}

/// Cancels a job that has not ended; its effects stay. Returns false when it has ended.
pub async fn cancel(connection: &mut PgConnection, id: Uuid, by: &str) -> Result<bool> {
    fail(connection, id, &format!("cancelled by {by}")).await
}

/// Ends a job that cannot be completed. Returns false when it has ended before.
pub async fn fail(connection: &mut PgConnection, id: Uuid, reason: &str) -> Result<bool> {
    let failed = sqlx::query(
        "UPDATE replay_jobs SET status = 'failed', reason = $2, updated_at = clock_timestamp() \
         WHERE id = $1 AND status IN ('queued', 'running')",
    )
    .bind(id)
    .bind(reason)
    .execute(connection)
    .await?;
    Ok(failed.rows_affected() > 0)
}
