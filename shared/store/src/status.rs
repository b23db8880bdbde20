//! The status of ingest: every lane with its owner and lag, the workers, the open dead letters. Lags are those that the
//! owners of the lanes reported at `lag_at`.

use crate::column;
use crate::dead_letters::RECENT;
use crate::error::{Error, Result};
use crate::lanes::columns::{self, KeyColumns};
use chrono::{DateTime, Utc};
use sqlx::PgPool;
use std::collections::BTreeMap;
use tiris_domain::ids::UserId;
use tiris_domain::lane::LaneKey;
use tiris_domain::states::{DeadLetterClass, LaneStatus};
use uuid::Uuid;

/// The activity of a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LaneActivity {
    /// No worker owns it.
    Free,
    /// The status its owner reported last.
    Owned(LaneStatus),
}

impl LaneActivity {
    /// Returns whether the owner of the lane reads and commits.
    #[must_use]
    pub fn is_running(self) -> bool {
        self == Self::Owned(LaneStatus::Running)
    }

    /// Returns the name in responses and output.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::Owned(status) => status.as_str(),
        }
    }
}

impl TryFrom<String> for LaneActivity {
    type Error = Error;

    fn try_from(name: String) -> Result<Self> {
        if name == Self::Free.as_str() {
            return Ok(Self::Free);
        }
        column::state(name).map(Self::Owned)
    }
}

/// A lane, as its owner reported last.
#[derive(Clone, Debug, PartialEq, sqlx::FromRow)]
pub struct LaneFigures {
    /// The lane.
    #[sqlx(flatten, try_from = "KeyColumns")]
    pub key: LaneKey,
    /// Id of the worker that owns the lane; `None` when its lease has ended.
    pub worker: Option<Uuid>,
    /// Host of that worker.
    pub host: Option<String>,
    /// End of the lease.
    pub lease_until: Option<DateTime<Utc>>,
    /// Incremented at every change of owner.
    pub epoch: i64,
    /// Every message up to this stream sequence is done, except those of detours.
    pub cursor: i64,
    /// Activity of the lane.
    #[sqlx(try_from = "String")]
    pub status: LaneActivity,
    /// The reason why the lane does not run.
    pub status_reason: Option<String>,
    /// Messages that are not done; `None` before the first report.
    pub lag_messages: Option<i64>,
    /// Whether the messages are counted; otherwise the number is an upper bound.
    pub lag_exact: Option<bool>,
    /// Age of the oldest message that is not done, in seconds; `None` when unknown.
    pub lag_seconds: Option<f64>,
    /// Time of the report.
    pub lag_at: Option<DateTime<Utc>>,
    /// Time of the last commit.
    pub last_commit_at: Option<DateTime<Utc>>,
    /// Messages done since midnight UTC.
    pub events_today: i64,
}

/// A live worker.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct WorkerFigures {
    /// Id of the worker.
    pub id: Uuid,
    /// Name of its host.
    pub host: String,
    /// Version of the program.
    pub version: String,
    /// Start time of the process.
    pub started_at: DateTime<Utc>,
    /// Number of lanes it owns.
    pub lanes: i64,
}

/// The number of open dead letters of a lane and class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct OpenLetters {
    /// The lane.
    #[sqlx(flatten, try_from = "KeyColumns")]
    pub key: LaneKey,
    /// The class of the dead letters.
    #[sqlx(try_from = "String")]
    pub class: DeadLetterClass,
    /// Number of open dead letters.
    pub count: i64,
}

/// The status of ingest.
#[derive(Clone, Debug, PartialEq)]
pub struct EventsStatus {
    /// Every lane, by stream and number.
    pub lanes: Vec<LaneFigures>,
    /// Live workers, oldest first.
    pub workers: Vec<WorkerFigures>,
    /// Open dead letters.
    pub letters: Vec<OpenLetters>,
}

impl EventsStatus {
    /// Returns the open dead letters of a lane, by class.
    #[must_use]
    pub fn letters_of(&self, key: LaneKey) -> BTreeMap<DeadLetterClass, i64> {
        let letters = self.letters.iter().filter(|letters| letters.key == key);
        let counts = letters.map(|letters| (letters.class, letters.count));
        counts.collect()
    }

    /// Returns whether every lane has an owner and runs.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        !self.lanes.is_empty() && self.lanes.iter().all(|lane| lane.status.is_running())
    }
}

/// Reads the status, in three statements.
pub async fn read(pool: &PgPool) -> Result<EventsStatus> {
    let lanes = sqlx::query_as(
        "SELECT l.stream, l.lane, w.id AS worker, w.host, l.lease_until, l.epoch, l.cursor, \
         CASE WHEN l.lease_until > clock_timestamp() THEN l.status ELSE 'free' END AS status, \
         CASE WHEN l.lease_until > clock_timestamp() THEN l.status_reason END AS status_reason, \
         l.lag_messages, l.lag_exact, l.lag_seconds::float8, l.lag_at, l.last_commit_at, \
         CASE WHEN l.events_day = (now() AT TIME ZONE 'UTC')::date THEN l.events_today ELSE 0 END AS events_today \
         FROM ingest_lanes l \
         LEFT JOIN ingest_workers w ON w.owner_token = l.owner AND l.lease_until > clock_timestamp() \
         WHERE l.stream = ANY($1) ORDER BY l.stream, l.lane",
    )
    .bind(columns::known_streams())
    .fetch_all(pool)
    .await?;
    let workers = sqlx::query_as(
        "SELECT w.id, w.host, w.version, w.started_at, count(l.lane) AS lanes FROM ingest_workers w \
         LEFT JOIN ingest_lanes l ON l.owner = w.owner_token AND l.lease_until > clock_timestamp() \
         WHERE w.alive_until > clock_timestamp() GROUP BY w.id ORDER BY w.started_at, w.id",
    )
    .fetch_all(pool)
    .await?;
    let letters = sqlx::query_as(
        "SELECT stream, lane, class, count(*) AS count FROM dead_letters WHERE status = 'open' \
         AND stream = ANY($1) GROUP BY stream, lane, class",
    )
    .bind(columns::known_streams())
    .fetch_all(pool)
    .await?;

    Ok(EventsStatus {
        lanes,
        workers,
        letters,
    })
}

/// The numbers of open dead letters of a user and class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct OwnCount {
    /// The class of the dead letters.
    #[sqlx(try_from = "String")]
    pub class: DeadLetterClass,
    /// Number of open dead letters.
    pub count: i64,
    /// Those that are retried, or wait for another or for the user to be enabled.
    pub waiting: i64,
    /// Those that were created within [`RECENT`].
    pub recent: i64,
}

/// The oldest open dead letter of a user.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct OldestLetter {
    /// Id of the dead letter.
    pub id: Uuid,
    /// Its class.
    #[sqlx(try_from = "String")]
    pub class: DeadLetterClass,
    /// Stable code of the cause.
    pub code: String,
    /// Description of the cause.
    pub reason: String,
    /// Time of creation.
    pub created_at: DateTime<Utc>,
}

/// The open dead letters of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnLetters {
    /// Their numbers, by class.
    pub counts: Vec<OwnCount>,
    /// The oldest of them.
    pub oldest: Option<OldestLetter>,
}

/// Reads the open dead letters of a user, in two statements.
pub async fn own_letters(pool: &PgPool, user: UserId) -> Result<OwnLetters> {
    let counts = sqlx::query_as(
        "SELECT class, count(*) AS count, count(*) FILTER (WHERE blocks) AS waiting, \
         count(*) FILTER (WHERE created_at > now() - $2::interval) AS recent \
         FROM dead_letters WHERE status = 'open' AND user_id = $1 GROUP BY class",
    )
    .bind(user.0)
    .bind(RECENT)
    .fetch_all(pool)
    .await?;
    let oldest = sqlx::query_as(
        "SELECT id, class, code, reason, created_at FROM dead_letters WHERE status = 'open' AND user_id = $1 \
         ORDER BY created_at, id LIMIT 1",
    )
    .bind(user.0)
    .fetch_optional(pool)
    .await?;

    Ok(OwnLetters { counts, oldest })
}
