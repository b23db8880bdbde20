//! What each lane of this process is doing and how far it is behind, for readiness, metrics and the lanes' rows.

pub mod gauges;

use crate::stream::Mismatch;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tiris_domain::lane::LaneKey;
use tiris_domain::states::LaneStatus;

/// What a lane of this process is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Condition {
    /// Not read yet.
    #[default]
    Starting,
    /// Reading and committing.
    Running,
    /// Waiting for a part that is down: which.
    Waiting(String),
    /// Stopped, because cursor and stream do not belong together: why.
    Halted(Mismatch),
}

impl Condition {
    /// In a word, as stored and shown.
    #[must_use]
    pub const fn status(&self) -> LaneStatus {
        match self {
            Self::Starting => LaneStatus::Starting,
            Self::Running => LaneStatus::Running,
            Self::Waiting(_) => LaneStatus::Waiting,
            Self::Halted(_) => LaneStatus::Halted,
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
    pub condition: Condition,
    /// How far it is behind.
    pub lag: Lag,
}

/// The states of all lanes, shared between lanes, the lane manager and the admin listener.
#[derive(Clone, Debug, Default)]
pub struct Board(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    lanes: BTreeMap<LaneKey, Line>,
    /// Other workers have all lanes, and this one is ready to step in.
    standing_by: bool,
}

impl Board {
    /// Sets the condition of a lane. Returns whether it is new.
    pub fn set(&self, key: LaneKey, condition: Condition) -> bool {
        let mut state = self.lock();
        let line = state.lanes.entry(key).or_default();
        let is_new = line.condition != condition;
        line.condition = condition;
        is_new
    }

    /// Sets a lane running that was only starting. Returns whether it was.
    pub fn set_started(&self, key: LaneKey) -> bool {
        let mut state = self.lock();
        let line = state.lanes.entry(key).or_default();
        let is_starting = line.condition == Condition::Starting;
        if is_starting {
            line.condition = Condition::Running;
        }
        is_starting
    }

    /// Sets how far a lane is behind.
    pub fn set_lag(&self, key: LaneKey, lag: Lag) {
        self.lock().lanes.entry(key).or_default().lag = lag;
    }

    /// Takes a lane off the board: another worker has it now.
    pub fn remove(&self, key: LaneKey) {
        self.lock().lanes.remove(&key);
    }

    /// Every lane with its line.
    #[must_use]
    pub fn lines(&self) -> BTreeMap<LaneKey, Line> {
        self.lock().lanes.clone()
    }

    /// Records that the worker has done what there is to do for it, also when that is to wait for a lane.
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
        // A halted lane needs an operator, so it is reported before those that wait for something to pass.
        let worst = lanes
            .iter()
            .filter(|(_, line)| line.condition != Condition::Running)
            .max_by_key(|(_, line)| line.condition.status() == LaneStatus::Halted);
        let Some((key, line)) = worst else {
            return Ok(format!("{} lanes run", lanes.len()));
        };

        let reason = line.condition.reason().map(|why| format!(": {why}"));
        Err(format!(
            "lane {key} is {}{}",
            line.condition.status().as_str(),
            reason.unwrap_or_default()
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tiris_domain::lane::EventStream;

    #[test]
    fn a_lane_that_begins_to_read_runs_unless_something_else_was_reported() {
        let board = Board::default();
        let stream = EventStream::Trading;
        let starting = LaneKey { stream, lane: 0 };
        let waiting = LaneKey { stream, lane: 1 };
        board.set(starting, Condition::Starting);
        board.set(waiting, Condition::Waiting("the database".to_owned()));

        assert!(board.set_started(starting));
        assert!(!board.set_started(starting));
        assert!(!board.set_started(waiting));

        let lines = board.lines();
        assert_eq!(lines[&starting].condition.status(), LaneStatus::Running);
        assert_eq!(lines[&waiting].condition.status(), LaneStatus::Waiting);
    }
}
