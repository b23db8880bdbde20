//! How ingest is: lanes, workers, open dead letters. A user sees the health and the lag of his own lanes only.

use super::operations;
use crate::routes::prelude::*;
use tiris_domain::ids::UserId;
use tiris_domain::lane::lane_of;
use tiris_domain::states::DeadLetterClass;
use tiris_domain::value::Seconds;
use tiris_store::status::{self, EventsStatus, LaneFigures, WorkerFigures};

operations!(GetEventStatus);

/// Get the state of ingest.
pub(crate) struct GetEventStatus;

impl Policy for GetEventStatus {
    const ACCESS: Access = Access::User;
    const RATE: Option<Class> = Some(Class::General);
    const REFUSALS: &'static [Refusal] = &[];
}

/// Open dead letters by class.
#[derive(Object, Serialize, Default)]
struct OpenLetters {
    /// No events; they wait for a person
    malformed: i64,
    /// They name what is not there yet; tried again by themselves
    unresolved: i64,
    /// The ledger refuses them; they wait for a person
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

/// What only admins see of a lane.
#[derive(Object, Serialize)]
struct LaneInside {
    /// Why it does not run
    #[oai(nullable)]
    status_reason: Option<String>,
    /// The worker that owns it; null when nobody does
    #[oai(nullable)]
    owner: Option<Uuid>,
    /// Where that worker runs
    #[oai(nullable)]
    host: Option<String>,
    /// Until when it is the worker's unless renewed
    #[oai(nullable)]
    lease_until: Option<DateTime<Utc>>,
    /// Raised at every change of owner
    epoch: i64,
    /// Every message up to this stream sequence is done
    cursor: i64,
    /// When it last committed
    #[oai(nullable)]
    last_commit: Option<DateTime<Utc>>,
    /// Messages done since midnight UTC
    events_today: i64,
    dead_letters: OpenLetters,
}

/// A lane: a part of a stream that is processed in order. All events of a user go through one lane of each stream.
#[derive(Object, Serialize)]
struct LaneState {
    /// `TRADING` or `TRADING_SYSTEM`
    stream: String,
    /// Number of the lane in its stream
    lane: i32,
    /// `running`, `starting`, `waiting` for a part that is down, `halted` until a person decides, or `free`: nobody has it
    status: String,
    /// Messages that are not done yet; null when nobody told
    #[oai(nullable)]
    lag_messages: Option<i64>,
    /// Whether they are counted; else `lag_messages` is an upper bound
    lag_exact: bool,
    /// Age of the oldest of them, in seconds; 0 when there are none, null when it is not known
    #[oai(nullable)]
    lag_seconds: Option<Field<Seconds>>,
    /// When the lag was told
    #[oai(nullable)]
    lag_at: Option<DateTime<Utc>>,
    /// For admins only; null for others
    #[oai(nullable)]
    inside: Option<LaneInside>,
}

/// A worker that is alive.
#[derive(Object, Serialize)]
struct WorkerState {
    id: Uuid,
    /// Where it runs
    host: String,
    version: String,
    started_at: DateTime<Utc>,
    /// Lanes it owns
    lanes: i64,
}

impl From<WorkerFigures> for WorkerState {
    fn from(worker: WorkerFigures) -> Self {
        let WorkerFigures {
            id,
            host,
            version,
            started_at,
            lanes,
        } = worker;
        Self {
            id,
            host,
            version,
            started_at,
            lanes,
        }
    }
}

/// How events come in.
#[derive(Object, Serialize)]
struct IngestState {
    /// Whether all lanes shown have an owner and run
    healthy: bool,
    /// By stream and number: all for admins, the caller's own for others
    lanes: Vec<LaneState>,
    /// Living workers, oldest first; empty for others than admins
    workers: Vec<WorkerState>,
    /// Open dead letters of all lanes; null for others than admins
    #[oai(nullable)]
    dead_letters: Option<OpenLetters>,
}

impl IngestState {
    fn for_admin(found: EventsStatus) -> Self {
        let mut all = OpenLetters::default();
        for letters in &found.letters {
            all.add(letters.class, letters.count);
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
        }
    }

    fn for_user(found: &EventsStatus, user: UserId) -> Self {
        let own: Vec<&LaneFigures> = found
            .lanes
            .iter()
            .filter(|lane| is_lane_of(found, lane, user))
            .collect();
        Self {
            healthy: !own.is_empty() && own.iter().all(|lane| lane.status.is_running()),
            lanes: own.into_iter().map(|lane| lane_state(lane, None)).collect(),
            workers: Vec::new(),
            dead_letters: None,
        }
    }
}

/// The last lane of a stream is that of subjects without a user.
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
    /// Whether events come in, and how far behind; for admins every lane with its owner
    #[oai(path = "/status", method = "get", operation_id = "getEventStatus")]
    async fn status(&self, caller: Caller<Self>, state: Data<&State>) -> Answer<IngestState, Self> {
        let found = status::read(&state.pool).await?;
        Ok(Reply::read(if caller.is_admin() {
            IngestState::for_admin(found)
        } else {
            IngestState::for_user(&found, caller.user())
        }))
    }
}
