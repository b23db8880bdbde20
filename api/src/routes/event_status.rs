//! `GET /v1/events/status`: lanes, workers and open dead letters. Users see health and lag of their own lanes, and a summary of
//! their own dead letters.

use super::dead_letters::object::shown_reason;
use super::prelude::*;
use sqlx::PgPool;
use tiris_domain::lane::lane_of;
use tiris_domain::states::DeadLetterClass;
use tiris_domain::value::Seconds;
use tiris_store::lanes::detours;
use tiris_store::status::{
    self, EventsStatus, LaneFigures, OldestLetter, OwnLetters, WorkerFigures,
};

operation!(GetEventStatus: User, General, []);

/// Numbers of open dead letters by class.
#[derive(Object, Serialize, Default)]
struct OpenLetters {
    /// Messages that are not valid events; they have to be discarded, or replayed if only their subject is wrong
    malformed: i64,
    /// Events that name something that does not exist yet; they are retried three times
    unresolved: i64,
    /// Events that the ledger refuses; they have to be replayed or discarded
    rejected: i64,
}

impl OpenLetters {
    fn add(&mut self, class: DeadLetterClass, count: i64) {
        match class {
            DeadLetterClass::Malformed => self.malformed += count,
            DeadLetterClass::Unresolved => self.unresolved += count,
            DeadLetterClass::Rejected => self.rejected += count,
        }
    }
}

/// The oldest open dead letter.
#[derive(Object, Serialize)]
struct Oldest {
    /// Id of the dead letter
    id: Uuid,
    /// Its class
    class: Field<DeadLetterClass>,
    /// Stable code of the failure
    code: String,
    /// Reason of the failure
    reason: String,
    /// When the event failed first
    created_at: DateTime<Utc>,
}

/// The open dead letters of the caller's bots.
#[derive(Object, Serialize)]
struct OwnDeadLetters {
    /// Their numbers by class
    open: OpenLetters,
    /// Those that are still retried, wait for the user to be enabled, or wait behind another
    waiting: i64,
    /// Those that were created within the last hour
    recent: i64,
    /// The oldest of them; null if there is none
    #[oai(nullable)]
    oldest: Option<Oldest>,
}

impl OwnDeadLetters {
    fn new(own: OwnLetters, is_admin: bool) -> Self {
        let mut open = OpenLetters::default();
        for counted in &own.counts {
            open.add(counted.class, counted.count);
        }
        let oldest = own.oldest.map(|letter: OldestLetter| Oldest {
            id: letter.id,
            class: Field(letter.class),
            reason: shown_reason(&letter.code, letter.reason, is_admin),
            code: letter.code,
            created_at: letter.created_at,
        });
        Self {
            open,
            waiting: own.counts.iter().map(|counted| counted.waiting).sum(),
            recent: own.counts.iter().map(|counted| counted.recent).sum(),
            oldest,
        }
    }

    fn is_healthy(&self) -> bool {
        self.waiting == 0 && self.recent == 0
    }
}

/// The caller's events that are processed beside those of others, because they exceed the quota of messages or bytes a
/// minute.
#[derive(Object, Serialize)]
struct SlowedEvents {
    /// When the quota was exceeded
    since: DateTime<Utc>,
    /// Messages that are not processed yet; they are, in their order, when other users' events leave time
    behind: i64,
}

/// Details of a lane for admins.
#[derive(Object, Serialize)]
struct LaneInside {
    /// Reason for not running
    #[oai(nullable)]
    status_reason: Option<String>,
    /// Id of the worker that owns the lane; null if none does
    #[oai(nullable)]
    owner: Option<Uuid>,
    /// Host of the worker
    #[oai(nullable)]
    host: Option<String>,
    /// End of the worker's lease unless it is renewed
    #[oai(nullable)]
    lease_until: Option<DateTime<Utc>>,
    /// Counter that increases with each change of owner
    epoch: i64,
    /// Stream sequence up to which all messages are processed, except those of users who exceed the quota
    cursor: i64,
    /// Time of the last commit
    #[oai(nullable)]
    last_commit: Option<DateTime<Utc>>,
    /// Messages processed since midnight UTC
    events_today: i64,
    /// Open dead letters of the lane
    dead_letters: OpenLetters,
}

/// A lane is a part of a stream that is processed in order. All events of a user are in one lane of each stream.
#[derive(Object, Serialize)]
struct LaneState {
    /// Stream: `TRADING` or `TRADING_SYSTEM`
    stream: String,
    /// Number of the lane in its stream
    lane: i32,
    /// `running`, `starting`, `waiting` for a dependency that is down, `halted` until an operator acts, or `free` without
    /// a worker
    status: String,
    /// Messages that are not processed yet; null if not reported
    #[oai(nullable)]
    lag_messages: Option<i64>,
    /// Whether `lag_messages` is exact; otherwise it is an upper bound
    lag_exact: bool,
    /// Age of the oldest unprocessed message, in seconds; 0 without any, null if not reported
    #[oai(nullable)]
    lag_seconds: Option<Field<Seconds>>,
    /// When the lag was reported
    #[oai(nullable)]
    lag_at: Option<DateTime<Utc>>,
    /// Details for admins; null for other users
    #[oai(nullable)]
    inside: Option<LaneInside>,
}

/// A running worker.
#[derive(Object, Serialize)]
struct WorkerState {
    /// Id of the worker
    id: Uuid,
    /// Host of the worker
    host: String,
    /// Version of the worker's build
    version: String,
    /// When the worker started
    started_at: DateTime<Utc>,
    /// Number of lanes it owns
    lanes: i64,
}

impl From<WorkerFigures> for WorkerState {
    fn from(worker: WorkerFigures) -> Self {
        Self {
            id: worker.id,
            host: worker.host,
            version: worker.version,
            started_at: worker.started_at,
            lanes: worker.lanes,
        }
    }
}

/// The state of event processing.
#[derive(Object, Serialize)]
struct IngestState {
    /// For admins whether all lanes run; for other users whether their own lanes run and none of their events waits or failed
    /// within the last hour
    healthy: bool,
    /// Lanes by stream and number: for admins all, for other users their own
    lanes: Vec<LaneState>,
    /// Running workers, oldest first; for admins only
    workers: Vec<WorkerState>,
    /// Open dead letters of all lanes; null for users who are not admins
    #[oai(nullable)]
    dead_letters: Option<OpenLetters>,
    /// Open dead letters of the caller's own bots
    own_dead_letters: OwnDeadLetters,
    /// Why the caller's own events are processed more slowly; null if they are not
    #[oai(nullable)]
    own_slowed: Option<SlowedEvents>,
}

/// The caller's own part of the state.
struct Own {
    dead_letters: OwnDeadLetters,
    slowed: Option<SlowedEvents>,
}

impl Own {
    async fn read(pool: &PgPool, user: UserId, is_admin: bool) -> Result<Self> {
        let letters = status::own_letters(pool, user).await?;
        let slowed = detours::of_user(pool, user).await?;

        Ok(Self {
            dead_letters: OwnDeadLetters::new(letters, is_admin),
            slowed: slowed.map(|slowed| SlowedEvents {
                since: slowed.since,
                behind: slowed.behind,
            }),
        })
    }
}

impl IngestState {
    fn for_admin(found: EventsStatus, own: Own) -> Self {
        let mut all = OpenLetters::default();
        for open in &found.letters {
            all.add(open.class, open.count);
        }
        Self {
            healthy: found.is_healthy(),
            lanes: found
                .lanes
                .iter()
                .map(|lane| lane_state(lane, Some(inside(&found, lane))))
                .collect(),
            workers: found.workers.into_iter().map(WorkerState::from).collect(),
            dead_letters: Some(all),
            own_dead_letters: own.dead_letters,
            own_slowed: own.slowed,
        }
    }

    fn for_user(found: &EventsStatus, user: UserId, own: Own) -> Self {
        let lanes: Vec<&LaneFigures> = found
            .lanes
            .iter()
            .filter(|lane| is_lane_of(found, lane, user))
            .collect();
        let all_run = !lanes.is_empty() && lanes.iter().all(|lane| lane.status.is_running());
        Self {
            healthy: all_run && own.dead_letters.is_healthy(),
            lanes: lanes
                .into_iter()
                .map(|lane| lane_state(lane, None))
                .collect(),
            workers: Vec::new(),
            dead_letters: None,
            own_dead_letters: own.dead_letters,
            own_slowed: own.slowed,
        }
    }
}

/// Returns whether the lane carries the events of a user. The last lane of a stream is for subjects without a user.
fn is_lane_of(found: &EventsStatus, lane: &LaneFigures, user: UserId) -> bool {
    let of_stream = found
        .lanes
        .iter()
        .filter(|other| other.key.stream == lane.key.stream)
        .count();
    let lanes = u16::try_from(of_stream.saturating_sub(1)).ok();
    lanes.and_then(|lanes| lane_of(user.0, lanes)) == Some(lane.key.lane)
}

fn lane_state(lane: &LaneFigures, inside: Option<LaneInside>) -> LaneState {
    LaneState {
        stream: lane.key.stream.to_string(),
        lane: lane.key.lane.into(),
        status: lane.status.as_str().to_owned(),
        lag_messages: lane.lag_messages,
        lag_exact: lane.lag_exact == Some(true),
        lag_seconds: lane.lag_seconds.map(Seconds).map(Field),
        lag_at: lane.lag_at,
        inside,
    }
}

fn inside(found: &EventsStatus, lane: &LaneFigures) -> LaneInside {
    let mut dead_letters = OpenLetters::default();
    for (class, count) in found.letters_of(lane.key) {
        dead_letters.add(class, count);
    }
    LaneInside {
        status_reason: lane.status_reason.clone(),
        owner: lane.worker,
        host: lane.host.clone(),
        lease_until: lane.lease_until,
        epoch: lane.epoch,
        cursor: lane.cursor,
        last_commit: lane.last_commit_at,
        events_today: lane.events_today,
        dead_letters,
    }
}

#[OpenApi(prefix_path = "/v1/events", tag = "Tag::Events")]
impl GetEventStatus {
    /// Get the state of event processing
    ///
    /// Shows whether the events of the caller's bots are processed, how far processing is behind, and which of them wait or
    /// failed. Admins see all lanes with their owners, the workers and the open dead letters.
    #[oai(path = "/status", method = "get", operation_id = "getEventStatus")]
    async fn status(&self, caller: Caller<Self>, state: Data<&State>) -> Answer<IngestState, Self> {
        let found = status::read(&state.pool).await?;
        let own = Own::read(&state.pool, caller.user(), caller.is_admin()).await?;

        Ok(Reply::read(if caller.is_admin() {
            IngestState::for_admin(found, own)
        } else {
            IngestState::for_user(&found, caller.user(), own)
        }))
    }
}
