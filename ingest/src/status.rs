//! The condition and lag of each lane of this process, for readiness, metrics and the database.

pub(crate) mod gauges;

use crate::stream::Mismatch;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tiris_domain::lane::LaneKey;
use tiris_domain::states::LaneStatus;

/// The condition of a lane.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Condition {
    /// It has not read yet.
    #[default]
    Starting,
    /// It reads and commits.
    Running,
    /// NATS or the database is unavailable, for this reason.
    Waiting(String),
    /// Cursor and stream do not match.
    Halted(Mismatch),
}

impl Condition {
    /// Returns the status to store and show.
    #[must_use]
    pub const fn status(&self) -> LaneStatus {
        match self {
            Self::Starting => LaneStatus::Starting,
            Self::Running => LaneStatus::Running,
            Self::Waiting(_) => LaneStatus::Waiting,
            Self::Halted(_) => LaneStatus::Halted,
        }
    }

    /// Returns why it does not run; None when it runs or starts.
    #[must_use]
    pub fn reason(&self) -> Option<String> {
        match self {
            Self::Starting | Self::Running => None,
            Self::Waiting(why) => Some(why.clone()),
            Self::Halted(mismatch) => Some(format!("{mismatch}: {}", mismatch.advice())),
        }
    }
}

/// The lag of a lane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lag {
    /// Uncommitted messages; None when unknown.
    pub messages: Option<u64>,
    /// Whether `messages` is exact; otherwise it is an upper bound.
    pub exact: bool,
    /// When the broker stored the oldest of them, in nanoseconds since 1970; None without messages, or when unknown.
    pub oldest: Option<i64>,
}

impl Lag {
    /// No lag.
    pub const NONE: Self = Self::at_most(0);

    /// Returns a lag of at most this many messages.
    #[must_use]
    pub const fn at_most(messages: u64) -> Self {
        Self {
            messages: Some(messages),
            exact: messages == 0,
            oldest: None,
        }
    }

    /// Returns the age of the oldest message at `now` (nanoseconds since 1970); None when unknown.
    #[must_use]
    pub fn age(&self, now: i64) -> Option<Duration> {
        if self.messages == Some(0) {
            return Some(Duration::ZERO);
        }
        let age = now.saturating_sub(self.oldest?);
        Some(Duration::from_nanos(age.try_into().unwrap_or(0)))
    }
}

/// Condition and lag of a lane.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// Whether the lane runs, and otherwise why not.
    pub condition: Condition,
    /// How far the lane is behind its stream.
    pub lag: Lag,
}

/// The reports of all lanes, shared between lanes, lane manager and admin listener.
#[derive(Clone, Debug, Default)]
pub struct Board(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    lanes: BTreeMap<LaneKey, Line>,
    /// The worker has looked for free lanes at least once.
    standing_by: bool,
}

impl Board {
    /// Sets the condition of a lane. Returns whether it changed.
    pub fn set(&self, key: LaneKey, condition: Condition) -> bool {
        let mut state = self.lock();
        let line = state.lanes.entry(key).or_default();
        let is_new = line.condition != condition;
        line.condition = condition;
        is_new
    }

    /// Sets a starting lane to running. Returns whether it was starting.
    pub fn set_started(&self, key: LaneKey) -> bool {
        let mut state = self.lock();
        let line = state.lanes.entry(key).or_default();
        let is_starting = line.condition == Condition::Starting;
        if is_starting {
            line.condition = Condition::Running;
        }
        is_starting
    }

    /// Sets the lag of a lane.
    pub fn set_lag(&self, key: LaneKey, lag: Lag) {
        self.lock().lanes.entry(key).or_default().lag = lag;
    }

    /// Removes a lane that this worker no longer owns.
    pub fn remove(&self, key: LaneKey) {
        self.lock().lanes.remove(&key);
    }

    /// Returns the reports of all lanes.
    #[must_use]
    pub fn lines(&self) -> BTreeMap<LaneKey, Line> {
        self.lock().lanes.clone()
    }

    /// Records that the worker is ready even without lanes: it has looked for free ones.
    pub fn stand_by(&self) {
        self.lock().standing_by = true;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns `Ok` when all lanes run, otherwise a lane that does not, and why.
    pub fn check(&self) -> Result<String, String> {
        let State { lanes, standing_by } = &*self.lock();
        if lanes.is_empty() && !standing_by {
            return Err("no lane was taken yet".to_owned());
        }
        // A halted lane needs an operator, so it is reported first.
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
    fn only_a_starting_lane_is_set_to_running() {
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
