//! Jobs that read a range of the streams again: requested by an admin, done by any worker, chunk by chunk.
//!
//! The worker that holds the lock of a job's row works on it.

use crate::error::{Error, Result};
use crate::lanes::columns::convert;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::types::Json;
use sqlx::{PgConnection, PgPool};
use std::collections::BTreeMap;
use tiris_domain::event::Kind;
use tiris_domain::ids::UserId;
use tiris_domain::lane::EventStream;
use tiris_domain::states::ReplayStatus;
use uuid::Uuid;

/// What is to be read again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewJob {
    /// The admin who asks; none when it came from the command line.
    pub requested_by: Option<UserId>,
    /// Messages the broker took at this moment or later.
    pub start_time: DateTime<Utc>,
    /// Messages the broker took before this moment.
    pub end_time: DateTime<Utc>,
    /// Only this user's.
    pub user: Option<UserId>,
    /// Only these kinds; none means all.
    pub kinds: Option<Vec<Kind>>,
}

/// How far a job is in one stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamProgress {
    /// Creation time of the stream, nanoseconds since 1970: another stream of the same name is not the one meant.
    pub created_at: i64,
    /// First sequence of the range.
    pub first: u64,
    /// Next sequence to read.
    pub next: u64,
    /// Last sequence of the range; nothing that came after the job began is read.
    pub last: u64,
}

/// How far a job is, by stream. A stream that is missing was not begun.
pub type Progress = BTreeMap<EventStream, StreamProgress>;

/// A job as it is kept.
#[derive(Clone, Debug, PartialEq, sqlx::FromRow)]
pub struct Job {
    /// Its id.
    pub id: Uuid,
    /// The admin who asked; none when it came from the command line.
    pub requested_by: Option<Uuid>,
    /// Messages the broker took at this moment or later.
    pub start_time: DateTime<Utc>,
    /// Messages the broker took before this moment.
    pub end_time: DateTime<Utc>,
    /// Only this user's.
    pub user_id: Option<Uuid>,
    /// Only events of these types, by their subjects without a user; none means all.
    pub event_types: Option<Vec<String>>,
    /// How far it is, in a word.
    #[sqlx(try_from = "String")]
    pub status: ReplayStatus,
    /// How far it is.
    pub progress: Json<Progress>,
    /// Events that were missing or dead and are in the books now.
    pub applied: i64,
    /// Events that were done before; heartbeats among them, which have no place in the books.
    pub duplicate: i64,
    /// Events that are still no part of the books.
    pub rejected: i64,
    /// Why it failed, or what it waits for.
    pub reason: Option<String>,
    /// What may be missing: parts of the range that were gone.
    pub remarks: Json<Vec<String>>,
    /// When it was asked for.
    pub created_at: DateTime<Utc>,
    /// When it last came forward.
    pub updated_at: DateTime<Utc>,
}

impl Job {
    /// Whether it has come to an end.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        matches!(self.status, ReplayStatus::Done | ReplayStatus::Failed)
    }

    /// Sequences read and sequences to read in all streams that were begun.
    #[must_use]
    pub fn position(&self) -> (u64, u64) {
        let read = |stream: &StreamProgress| stream.next.saturating_sub(stream.first);
        let all = |stream: &StreamProgress| (stream.last + 1).saturating_sub(stream.first);
        (
            self.progress.values().map(read).sum(),
            self.progress.values().map(all).sum(),
        )
    }

    /// Whether events of this kind are asked for.
    #[must_use]
    pub fn selects(&self, kind: Kind) -> bool {
        let names = |types: &Vec<String>| types.iter().any(|name| name == kind.bare_subject());
        self.event_types.as_ref().is_none_or(names)
    }
}

/// Events of a chunk, by what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReplayCounts {
    /// In the books now.
    pub applied: u64,
    /// Done before.
    pub duplicate: u64,
    /// Still no part of the books.
    pub rejected: u64,
}

/// The columns of a [`Job`].
macro_rules! columns {
    () => {
        "id, requested_by, start_time, end_time, user_id, event_types, status, progress, applied, duplicate, rejected, \
         reason, coalesce(info->'remarks', '[]') AS remarks, created_at, updated_at"
    };
}

/// Asks for a replay; a worker begins it within seconds.
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
            "must name at least one type, or be left out for all",
        ));
    }
    let kinds = job.kinds.as_ref().map(|kinds| {
        kinds
            .iter()
            .map(|kind| kind.bare_subject())
            .collect::<Vec<_>>()
    });

    let made = sqlx::query_as(concat!(
        "INSERT INTO replay_jobs (id, requested_by, start_time, end_time, user_id, event_types) \
         VALUES ($1, $2, $3, $4, $5, $6) RETURNING ",
        columns!()
    ))
    .bind(tiris_domain::ids::new_id())
    .bind(job.requested_by.map(|user| user.0))
    .bind(job.start_time)
    .bind(job.end_time)
    .bind(job.user.map(|user| user.0))
    .bind(kinds)
    .fetch_one(connection)
    .await?;
    Ok(made)
}

/// One job.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn get(connection: &mut PgConnection, id: Uuid) -> Result<Job> {
    let query = concat!("SELECT ", columns!(), " FROM replay_jobs WHERE id = $1");
    let job = sqlx::query_as(query)
        .bind(id)
        .fetch_optional(connection)
        .await?;

    job.ok_or(Error::NotFound("replay"))
}

/// The newest jobs, at most `limit`.
pub async fn list(connection: &mut PgConnection, limit: u32) -> Result<Vec<Job>> {
    let jobs = sqlx::query_as(concat!(
        "SELECT ",
        columns!(),
        " FROM replay_jobs ORDER BY created_at DESC, id DESC LIMIT $1"
    ));
    Ok(jobs.bind(i64::from(limit)).fetch_all(connection).await?)
}

/// The oldest job that has not ended, under lock until the caller's transaction ends; passes over those another worker
/// is at.
pub async fn lock_next(connection: &mut PgConnection) -> Result<Option<Job>> {
    let job = sqlx::query_as(concat!(
        "SELECT ",
        columns!(),
        " FROM replay_jobs WHERE status IN ('queued', 'running') ORDER BY created_at, id LIMIT 1 \
         FOR UPDATE SKIP LOCKED"
    ));
    Ok(job.fetch_optional(connection).await?)
}

/// Like [`lock_next`], when that is `job` and has not come forward since it was read.
pub async fn lock_unchanged(connection: &mut PgConnection, job: &Job) -> Result<Option<Job>> {
    let next = lock_next(connection).await?;
    Ok(next.filter(|next| next.id == job.id && next.progress == job.progress))
}

/// Whether any job waits or is under way; costs no lock.
pub async fn is_any_open(pool: &PgPool) -> Result<bool> {
    let any = sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM replay_jobs WHERE status IN ('queued', 'running'))",
    );
    Ok(any.fetch_one(pool).await?)
}

/// Keeps how far the job is, inside the transaction with the effects of what it read.
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

/// Keeps a remark on a job, beside those it has.
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

/// Keeps what a job that has not ended waits for, until it comes forward; passes over a job somebody is at.
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

/// Ends a job that has not ended; what it did stays done. Answers whether there was something to end.
pub async fn cancel(connection: &mut PgConnection, id: Uuid, by: &str) -> Result<bool> {
    let cancelled = sqlx::query(
        "UPDATE replay_jobs SET status = 'failed', reason = 'cancelled by ' || $2, updated_at = clock_timestamp() \
         WHERE id = $1 AND status IN ('queued', 'running')",
    )
    .bind(id)
    .bind(by)
    .execute(connection)
    .await?;
    Ok(cancelled.rows_affected() > 0)
}

/// Ends a job that cannot be done.
pub async fn fail(connection: &mut PgConnection, id: Uuid, reason: &str) -> Result<()> {
    sqlx::query(
        "UPDATE replay_jobs SET status = 'failed', reason = $2, updated_at = clock_timestamp() WHERE id = $1",
    )
    .bind(id)
    .bind(reason)
    .execute(connection)
    .await?;
    Ok(())
}
