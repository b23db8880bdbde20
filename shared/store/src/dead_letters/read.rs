//! Reads dead letters, and marks those that were published. Each is published at least once: a worker that stops between
//! publishing and marking publishes again.

use super::filter::Filter;
use crate::error::{Conflict, Error, Result};
use crate::lanes::columns::{self, KeyColumns};
use crate::ledger::{Origin, Work};
use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{PgConnection, QueryBuilder};
use std::time::Duration;
use tiris_domain::event::{BareSubjects, Subject};
use tiris_domain::lane::{EventStream, LaneKey};
use tiris_domain::states::{DeadLetterClass, DeadLetterStatus};
use uuid::Uuid;

/// A stored dead letter.
#[derive(Clone, Debug, PartialEq, sqlx::FromRow)]
pub struct Letter {
    /// Id of the dead letter.
    pub id: Uuid,
    /// The lane that delivered the message.
    #[sqlx(flatten, try_from = "KeyColumns")]
    pub key: LaneKey,
    /// Sequence of the message in the stream.
    #[sqlx(try_from = "i64")]
    pub stream_seq: u64,
    /// Subject of the message.
    pub subject: String,
    /// Original bytes of the message.
    pub payload: Vec<u8>,
    /// Headers of the message, `{name: [values]}`.
    pub headers: Value,
    /// Time at which the broker stored the message.
    pub broker_time: Option<DateTime<Utc>>,
    /// Event id, if valid.
    pub event_id: Option<String>,
    /// User of the event, if known.
    pub user_id: Option<Uuid>,
    /// Trading of the event, if known.
    pub trading_id: Option<Uuid>,
    /// The class, which says whether the dead letter is retried.
    #[sqlx(try_from = "String")]
    pub class: DeadLetterClass,
    /// Stable code of the cause.
    pub code: String,
    /// Description of the cause.
    pub reason: String,
    /// Automatic retries so far.
    #[sqlx(try_from = "i32")]
    pub attempts: usize,
    /// Time of the next automatic retry.
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// Whether a decision is pending.
    #[sqlx(try_from = "String")]
    pub status: DeadLetterStatus,
    /// Whether later events of its accounts wait behind it.
    pub blocks: bool,
    /// Time of publication to the dead letter stream.
    pub published_at: Option<DateTime<Utc>>,
    /// Free JSON; `resolution` says by whom, when and why the dead letter was closed.
    pub info: Value,
    /// Time of creation.
    pub created_at: DateTime<Utc>,
}

impl Letter {
    /// Returns the user that the subject names: the publisher.
    #[must_use]
    pub fn publisher(&self) -> Option<Uuid> {
        let user = Subject::parse(&self.subject)?.user?;
        Uuid::try_parse(&user).ok()
    }

    /// Returns the user that the payload names.
    pub(super) fn claimed_user(&self) -> Option<Uuid> {
        let subject = Subject::parse(&self.subject)?.kind.bare_subject();
        self.work(subject).names().user_id
    }

    /// Parses the message again, by `subject`.
    pub(super) fn work(&self, subject: &str) -> Work {
        let origin = Origin {
            stream: self.key.stream,
            stream_seq: self.stream_seq,
            broker_time: self.broker_time,
        };
        Work::parse(subject, &self.payload, BareSubjects::Accept, &origin)
    }
}

macro_rules! columns {
    () => {
        "id, stream, lane, stream_seq, subject, payload, headers, broker_time, event_id, user_id, trading_id, class, code, \
         reason, attempts, next_attempt_at, status, blocks, published_at, info, created_at"
    };
}
macro_rules! select {
    ($rest:literal) => {
        concat!("SELECT ", columns!(), " FROM dead_letters ", $rest)
    };
}

/// Returns the newest dead letters `filter` selects, at most `limit`; those of streams that only a newer version knows are
/// left out.
pub async fn list(
    connection: &mut PgConnection,
    filter: &Filter,
    limit: u32,
) -> Result<Vec<Letter>> {
    let mut query = QueryBuilder::new(select!("WHERE true"));
    filter.push_to(&mut query);
    query
        .push(" AND stream = ANY(")
        .push_bind(columns::known_streams())
        .push(") ORDER BY created_at DESC, id DESC LIMIT ")
        .push_bind(i64::from(limit));
    Ok(query.build_query_as().fetch_all(connection).await?)
}

/// Returns a dead letter.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn get(connection: &mut PgConnection, id: Uuid) -> Result<Letter> {
    let query = select!("WHERE id = $1");
    sqlx::query_as(query)
        .bind(id)
        .fetch_optional(connection)
        .await?
        .ok_or(Error::NotFound("dead letter"))
}

/// Returns dead letters; those that do not exist are left out.
pub(super) async fn get_all(connection: &mut PgConnection, ids: &[Uuid]) -> Result<Vec<Letter>> {
    Ok(sqlx::query_as(select!("WHERE id = ANY($1)"))
        .bind(ids)
        .fetch_all(connection)
        .await?)
}

/// Returns the oldest unpublished dead letters of these lanes and of lanes that no longer exist, at most `limit`.
pub async fn unpublished(
    connection: &mut PgConnection,
    keys: &[LaneKey],
    limit: u32,
) -> Result<Vec<Letter>> {
    let (streams, lanes) = columns::of_keys(keys);

    Ok(sqlx::query_as(select!(
        "d WHERE published_at IS NULL AND stream = ANY($1) \
         AND ((stream, lane) IN (SELECT k.stream, k.lane FROM UNNEST($2::text[], $3::int[]) AS k (stream, lane)) \
         OR NOT EXISTS (SELECT FROM ingest_lanes l WHERE l.stream = d.stream AND l.lane = d.lane)) \
         ORDER BY created_at, id LIMIT $4"
    ))
    .bind(columns::known_streams())
    .bind(streams)
    .bind(lanes)
    .bind(i64::from(limit))
    .fetch_all(connection)
    .await?)
}

/// Marks dead letters as published.
pub async fn mark_published(connection: &mut PgConnection, ids: &[Uuid]) -> Result<()> {
    sqlx::query("UPDATE dead_letters SET published_at = clock_timestamp() WHERE id = ANY($1)")
        .bind(ids)
        .execute(connection)
        .await?;
    Ok(())
}

/// How long an open dead letter counts as recent.
pub const RECENT: Duration = Duration::from_hours(1);

/// The number of open dead letters of a stream and class.
#[derive(Clone, Copy, Debug, sqlx::FromRow)]
pub struct ClassCount {
    /// The stream that delivered them.
    #[sqlx(try_from = "String")]
    pub stream: EventStream,
    /// The class of the dead letters.
    #[sqlx(try_from = "String")]
    pub class: DeadLetterClass,
    /// Number of open dead letters.
    pub count: i64,
    /// Number of those that were created within [`RECENT`]. Unresolved ones of disabled users are left out: they wait by the
    /// decision of an admin.
    pub recent: i64,
}

/// Counts the open dead letters of these lanes, by stream and class.
pub async fn count_by_class(
    connection: &mut PgConnection,
    keys: &[LaneKey],
) -> Result<Vec<ClassCount>> {
    let (streams, lanes) = columns::of_keys(keys);
    Ok(sqlx::query_as(
        "SELECT d.stream, d.class, count(*) AS count, count(*) FILTER (WHERE d.created_at > now() - $3::interval \
             AND (d.class <> 'unresolved' OR u.id IS NULL)) AS recent \
         FROM dead_letters d LEFT JOIN users u ON u.id = d.user_id AND u.status = 'disabled' WHERE d.status = 'open' \
         AND (d.stream, d.lane) IN (SELECT k.stream, k.lane FROM UNNEST($1::text[], $2::int[]) AS k (stream, lane)) \
         GROUP BY d.stream, d.class",
    )
    .bind(streams)
    .bind(lanes)
    .bind(RECENT)
    .fetch_all(connection)
    .await?)
}

/// The oldest event of a stream that waits.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct OldestWaiting {
    /// The stream that delivered it.
    #[sqlx(try_from = "String")]
    pub stream: EventStream,
    /// Its age in seconds.
    pub seconds: f64,
}

/// Returns the oldest open dead letter of class `unresolved` of each stream in these lanes. Those of disabled users are left
/// out: they wait by the decision of an admin.
pub async fn oldest_waiting(
    connection: &mut PgConnection,
    keys: &[LaneKey],
) -> Result<Vec<OldestWaiting>> {
    let (streams, lanes) = columns::of_keys(keys);
    Ok(sqlx::query_as(
        "SELECT d.stream, greatest(0, extract(epoch FROM clock_timestamp() - min(d.created_at)))::float8 AS seconds \
         FROM dead_letters d WHERE d.status = 'open' AND d.class = 'unresolved' \
         AND (d.stream, d.lane) IN (SELECT k.stream, k.lane FROM UNNEST($1::text[], $2::int[]) AS k (stream, lane)) \
         AND NOT EXISTS (SELECT FROM users u WHERE u.id = d.user_id AND u.status = 'disabled') \
         GROUP BY d.stream",
    )
    .bind(streams)
    .bind(lanes)
    .fetch_all(connection)
    .await?)
}

/// Returns a dead letter under lock.
///
/// # Errors
/// [`Error::NotFound`].
pub(super) async fn lock(connection: &mut PgConnection, id: Uuid) -> Result<Letter> {
    let letter: Option<Letter> = sqlx::query_as(select!("WHERE id = $1 FOR NO KEY UPDATE"))
        .bind(id)
        .fetch_optional(connection)
        .await?;

    letter.ok_or(Error::NotFound("dead letter"))
}

/// Fails unless a dead letter with this status is open.
pub(super) fn check_open(status: Option<DeadLetterStatus>) -> Result<()> {
    match status {
        None => Err(Error::NotFound("dead letter")),
        Some(DeadLetterStatus::Open) => Ok(()),
        Some(_) => Err(Error::Conflict(Conflict::LetterNotOpen)),
    }
}

/// A blocking dead letter and its age.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct Blocking {
    #[sqlx(flatten)]
    pub(super) letter: Letter,
    #[sqlx(try_from = "i64")]
    pub(super) age_millis: u64,
}

/// Returns those of the dead letters `ids` that block, in stream order, under lock.
pub(super) async fn lock_blocking(
    connection: &mut PgConnection,
    ids: &[Uuid],
) -> Result<Vec<Blocking>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }

    Ok(sqlx::query_as(concat!(
        "SELECT ",
        columns!(),
        ", greatest(0, (extract(epoch FROM clock_timestamp() - created_at) * 1000)::bigint) AS age_millis FROM dead_letters \
         WHERE id = ANY($1) AND blocks ORDER BY stream_created_at, stream_seq, id FOR NO KEY UPDATE"
    ))
    .bind(ids)
    .fetch_all(connection)
    .await?)
}
