//! How ingest is: every lane with its owner and lag, the workers, the open dead letters.
//!
//! Owns: reading it from the database, where the owners of the lanes keep it. Must not know: NATS; what a figure says is
//! as old as its `lag_at`.

use crate::error::Result;
use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use sqlx::PgPool;
use std::collections::BTreeMap;
use uuid::Uuid;

/// A lane, as its owner told last.
#[derive(Clone, Debug, PartialEq, sqlx::FromRow)]
pub struct LaneFigures {
    /// The stream.
    pub stream: String,
    /// The lane there; the last one is that of subjects without a user.
    pub lane: i32,
    /// Process that owns it, when its lease has not ended.
    pub worker: Option<Uuid>,
    /// Where that process runs.
    pub host: Option<String>,
    /// When its lease ends.
    pub lease_until: Option<DateTime<Utc>>,
    /// Raised at every change of owner.
    pub epoch: i64,
    /// Every message up to this stream sequence is done.
    pub cursor: i64,
    /// `running`, `starting`, `waiting` for a part that is down, `halted` until a person decides, or `free`: nobody has it.
    pub status: String,
    /// Why it does not run.
    pub status_reason: Option<String>,
    /// Messages that are not done; none when nobody told yet.
    pub lag_messages: Option<i64>,
    /// Whether they are counted; else it is an upper bound.
    pub lag_exact: Option<bool>,
    /// Age of the oldest of them in seconds; none when it is not known.
    pub lag_seconds: Option<Decimal>,
    /// When the lag was told.
    pub lag_at: Option<DateTime<Utc>>,
    /// When it last committed.
    pub last_commit_at: Option<DateTime<Utc>>,
    /// Messages done since midnight UTC.
    pub events_today: i64,
}

/// A worker that lives.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct WorkerFigures {
    /// Its id.
    pub id: Uuid,
    /// Where it runs.
    pub host: String,
    /// Version of the program.
    pub version: String,
    /// When it started.
    pub started_at: DateTime<Utc>,
    /// Lanes it owns.
    pub lanes: i64,
}

/// Open dead letters of a stream and lane, by class.
pub type OpenLetters = BTreeMap<(String, i32), BTreeMap<String, i64>>;

/// How ingest is.
#[derive(Clone, Debug, PartialEq)]
pub struct EventsStatus {
    /// Every lane, by stream and number.
    pub lanes: Vec<LaneFigures>,
    /// Workers that live, oldest first.
    pub workers: Vec<WorkerFigures>,
    /// Open dead letters.
    pub letters: OpenLetters,
}

impl EventsStatus {
    /// Open dead letters of one lane, by class.
    #[must_use]
    pub fn letters_of(&self, lane: &LaneFigures) -> BTreeMap<String, i64> {
        self.letters
            .get(&(lane.stream.clone(), lane.lane))
            .cloned()
            .unwrap_or_default()
    }

    /// Whether every lane has an owner and runs.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        !self.lanes.is_empty() && self.lanes.iter().all(|lane| lane.status == "running")
    }
}

/// Reads it all, in three statements.
pub async fn read(pool: &PgPool) -> Result<EventsStatus> {
    let lanes = sqlx::query_as(
        "SELECT l.stream, l.lane, w.id AS worker, w.host, l.lease_until, l.epoch, l.cursor, \
         CASE WHEN l.lease_until > clock_timestamp() THEN l.status ELSE 'free' END AS status, \
         CASE WHEN l.lease_until > clock_timestamp() THEN l.status_reason END AS status_reason, \
         l.lag_messages, l.lag_exact, l.lag_seconds, l.lag_at, l.last_commit_at, \
         CASE WHEN l.events_day = (now() AT TIME ZONE 'UTC')::date THEN l.events_today ELSE 0 END AS events_today \
         FROM ingest_lanes l \
         LEFT JOIN ingest_workers w ON w.owner_token = l.owner AND l.lease_until > clock_timestamp() \
         ORDER BY l.stream, l.lane",
    )
    .fetch_all(pool)
    .await?;
    let workers = sqlx::query_as(
        "SELECT w.id, w.host, w.version, w.started_at, count(l.lane) AS lanes FROM ingest_workers w \
         LEFT JOIN ingest_lanes l ON l.owner = w.owner_token AND l.lease_until > clock_timestamp() \
         WHERE w.alive_until > clock_timestamp() GROUP BY w.id ORDER BY w.started_at, w.id",
    )
    .fetch_all(pool)
    .await?;
    let rows: Vec<(String, i32, String, i64)> = sqlx::query_as(
        "SELECT stream, lane, class, count(*) FROM dead_letters WHERE status = 'open' GROUP BY stream, lane, class",
    )
    .fetch_all(pool)
    .await?;
    let mut letters = OpenLetters::new();
    for (stream, lane, class, count) in rows {
        letters
            .entry((stream, lane))
            .or_default()
            .insert(class, count);
    }
    Ok(EventsStatus {
        lanes,
        workers,
        letters,
    })
}

/// The lane of a user among `lanes` of a stream, as the broker's partition function puts it: FNV-1a of 32 bits over the
/// user token of the subject.
#[must_use]
pub fn lane_of(user: Uuid, lanes: u32) -> u32 {
    const OFFSET: u32 = 0x811c_9dc5;
    const PRIME: u32 = 0x0100_0193;
    let token = user.hyphenated().to_string();
    let hash = token.bytes().fold(OFFSET, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(PRIME)
    });
    hash.checked_rem(lanes).unwrap_or(0)
}
