//! What each lane of this process is doing and how far it is behind, for readiness, metrics and the lanes' rows.

use crate::identity::Mismatch;
use crate::reader::LaneId;
use crate::stream::EventStream;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tiris_store::dead_letters::{Class, INTERNAL};

/// State of a lane in this process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum LaneStatus {
    /// Not read yet.
    #[default]
    Starting,
    /// Reading and committing.
    Running,
    /// Waiting for a part that is down; tells which.
    Waiting(String),
    /// Stopped, because cursor and stream do not belong together; tells why.
    Halted(Mismatch),
}

impl LaneStatus {
    /// All that [`Self::name`] can say.
    const NAMES: [&'static str; 4] = ["starting", "running", "waiting", "halted"];

    /// As stored and shown.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Waiting(_) => "waiting",
            Self::Halted(_) => "halted",
        }
    }

    /// Why it does not run.
    #[must_use]
    pub fn reason(&self) -> Option<String> {
        match self {
            Self::Starting | Self::Running => None,
            Self::Waiting(why) => Some(why.clone()),
            Self::Halted(mismatch) => Some(format!("{mismatch}: {}", mismatch.advice())),
        }
    }
}

/// How far a lane is behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lag {
    /// Messages that are not committed; none when nothing is known.
    pub messages: Option<u64>,
    /// Whether they are counted; else it is an upper bound.
    pub exact: bool,
    /// When the broker took the oldest of them, nanoseconds since 1970; none when there are none, or it is not known.
    pub oldest: Option<i64>,
}

impl Lag {
    /// Nothing is left to do.
    pub const NONE: Self = Self {
        messages: Some(0),
        exact: true,
        oldest: None,
    };

    /// Age of the oldest message at the moment `now` (nanoseconds since 1970); none when it is not known.
    #[must_use]
    pub fn age(&self, now: i64) -> Option<Duration> {
        match (self.messages, self.oldest) {
            (Some(0), _) => Some(Duration::ZERO),
            (_, Some(oldest)) => Some(Duration::from_nanos(
                now.saturating_sub(oldest).try_into().unwrap_or(0),
            )),
            (_, None) => None,
        }
    }
}

/// A lane's line on the board.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// What it is doing.
    pub status: LaneStatus,
    /// How far it is behind.
    pub lag: Lag,
}

/// The states of all lanes, shared between lanes, the crew and the admin listener.
#[derive(Clone, Debug, Default)]
pub struct Board(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    lanes: BTreeMap<LaneId, Line>,
    /// Other workers have all lanes, and this one is ready to step in.
    standing_by: bool,
}

impl Board {
    /// Sets the state of a lane; answers whether it is new.
    pub fn set(&self, id: LaneId, status: LaneStatus) -> bool {
        let mut state = self.lock();
        let line = state.lanes.entry(id).or_default();
        let is_new = line.status != status;
        line.status = status;
        is_new
    }

    /// Sets a lane running that was only starting; answers whether it was.
    pub fn set_started(&self, id: LaneId) -> bool {
        let mut state = self.lock();
        let line = state.lanes.entry(id).or_default();
        let is_starting = line.status == LaneStatus::Starting;
        if is_starting {
            line.status = LaneStatus::Running;
        }
        is_starting
    }

    /// Sets how far a lane is behind.
    pub fn set_lag(&self, id: LaneId, lag: Lag) {
        self.lock().lanes.entry(id).or_default().lag = lag;
    }

    /// Takes a lane off the board: it is somebody else's now.
    pub fn remove(&self, id: LaneId) {
        self.lock().lanes.remove(&id);
    }

    /// Every lane with its line.
    #[must_use]
    pub fn lines(&self) -> BTreeMap<LaneId, Line> {
        self.lock().lanes.clone()
    }

    /// Tells that the worker has done what there is to do for it, also when that is to wait for a lane.
    pub fn stand_by(&self) {
        self.lock().standing_by = true;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `Ok` when all lanes run, else the first that does not, and why.
    pub fn check(&self) -> Result<String, String> {
        let State { lanes, standing_by } = &*self.lock();
        if lanes.is_empty() && !standing_by {
            return Err("no lane was taken yet".to_owned());
        }
        // A halted lane waits for a person, so it is told before those that wait for something to pass.
        let worst = lanes
            .iter()
            .filter(|(_, line)| line.status != LaneStatus::Running)
            .max_by_key(|(_, line)| matches!(line.status, LaneStatus::Halted(_)));
        match worst {
            None => Ok(format!("{} lanes run", lanes.len())),
            Some((id, line)) => {
                let reason = line
                    .status
                    .reason()
                    .map(|why| format!(": {why}"))
                    .unwrap_or_default();
                Err(format!("lane {id} is {}{reason}", line.status.name()))
            }
        }
    }
}

/// Shows the figures that tell of trouble before there is any: rules see their growth, not their birth. Each stream has
/// `lanes` lanes and that of subjects without a user.
pub fn begin(lanes: u32) {
    for stream in EventStream::ALL.map(EventStream::name) {
        metrics::gauge!("ingest_lanes_configured", "stream" => stream).set(f64::from(lanes + 1));
        metrics::counter!("ingest_batch_failures_total", "stream" => stream).increment(0);
        metrics::counter!("ingest_lanes_lost_total", "stream" => stream).increment(0);
        metrics::counter!("ingest_drift_total", "stream" => stream).increment(0);
        for kind in Mismatch::KINDS {
            metrics::counter!("ingest_cursor_mismatches_total", "stream" => stream, "kind" => kind)
                .increment(0);
        }
        for lane in 0..=lanes {
            metrics::counter!("ingest_gap_messages_total", "stream" => stream, "lane" => lane.to_string())
                .increment(0);
        }
        let (class, code) = (Class::Rejected.as_str(), INTERNAL);
        metrics::counter!("ingest_dead_letters_total", "stream" => stream, "class" => class, "code" => code)
            .increment(0);
    }
}

/// Shows how far a lane is behind at the moment `now` (nanoseconds since 1970).
pub fn gauge_lag(id: LaneId, lag: Lag, now: i64) {
    let (stream, lane) = (id.stream.name(), id.lane.to_string());
    if let Some(messages) = lag.messages {
        metrics::gauge!("ingest_lag_messages", "stream" => stream, "lane" => lane.clone())
            .set(float(messages));
    }
    if let Some(age) = lag.age(now) {
        metrics::gauge!("ingest_lag_seconds", "stream" => stream, "lane" => lane)
            .set(age.as_secs_f64());
    }
}

/// Shows how many lanes there are in each state.
pub fn gauge_states(lines: &BTreeMap<LaneId, Line>) {
    for stream in EventStream::ALL {
        for status in LaneStatus::NAMES {
            let count = lines
                .iter()
                .filter(|(id, line)| id.stream == stream && line.status.name() == status);
            metrics::gauge!("ingest_lanes", "stream" => stream.name(), "status" => status)
                .set(float(u64::try_from(count.count()).unwrap_or(0)));
        }
    }
}

/// Shows how many lanes are halted, by kind.
pub fn gauge_halted(lines: &BTreeMap<LaneId, Line>) {
    for kind in Mismatch::KINDS {
        let halted = lines
            .values()
            .filter(|line| matches!(line.status, LaneStatus::Halted(why) if why.kind() == kind));
        metrics::gauge!("ingest_lanes_halted", "kind" => kind)
            .set(float(u64::try_from(halted.count()).unwrap_or(0)));
    }
}

/// Shows how many open letters the lanes of this worker have; `counts` by stream and class.
pub fn gauge_letters(counts: &[(String, String, i64)]) {
    for stream in EventStream::ALL {
        for class in [Class::Malformed, Class::Unresolved, Class::Rejected] {
            let of_both =
                |(s, c, _): &&(String, String, i64)| s == stream.name() && c == class.as_str();
            let count = counts
                .iter()
                .find(of_both)
                .map_or(0, |(_, _, count)| *count);
            metrics::gauge!("ingest_dead_letters_open", "stream" => stream.name(), "class" => class.as_str())
                .set(float(u64::try_from(count).unwrap_or(0)));
        }
    }
}

/// Gauges are floats; beyond four thousand million one more makes no difference.
fn float(value: u64) -> f64 {
    f64::from(u32::try_from(value).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_that_begins_to_read_runs_unless_something_else_was_told_of_it() {
        let (board, lane) = (Board::default(), |lane| LaneId {
            stream: EventStream::Trading,
            lane,
        });
        board.set(lane(0), LaneStatus::Starting);
        board.set(lane(1), LaneStatus::Waiting("the database".to_owned()));
        assert!(board.set_started(lane(0)));
        assert!(!board.set_started(lane(0)) && !board.set_started(lane(1)));
        let names: Vec<&str> = board
            .lines()
            .values()
            .map(|line| line.status.name())
            .collect();
        assert_eq!(names, ["running", "waiting"]);
    }
}
