//! What each lane of this process is doing, for readiness and metrics.

use crate::reader::LaneId;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// State of a lane in this process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LaneStatus {
    /// Not read yet.
    Starting,
    /// Reading and committing.
    Running,
    /// Waiting for a part that is down; tells which.
    Waiting(String),
    /// Stopped, because cursor and stream do not belong together; tells why.
    Halted(String),
}

/// The states of all lanes, shared between lanes and the admin listener.
#[derive(Clone, Debug, Default)]
pub struct Board(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    lanes: BTreeMap<LaneId, LaneStatus>,
    /// Other workers have all lanes, and this one is ready to step in.
    standing_by: bool,
}

impl Board {
    /// Sets the state of a lane; answers whether it is new.
    pub fn set(&self, id: LaneId, status: LaneStatus) -> bool {
        let mut state = self.lock();
        state.lanes.insert(id, status.clone()).is_none_or(|before| before != status)
    }

    /// Takes a lane off the board: it is somebody else's now.
    pub fn remove(&self, id: LaneId) {
        self.lock().lanes.remove(&id);
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
        let trouble = lanes.iter().find_map(|(id, status)| match status {
            LaneStatus::Running => None,
            LaneStatus::Starting => Some(format!("lane {id} is starting")),
            LaneStatus::Waiting(why) => Some(format!("lane {id} waits: {why}")),
            LaneStatus::Halted(why) => Some(format!("lane {id} is halted: {why}")),
        });
        trouble.map_or_else(|| Ok(format!("{} lanes run", lanes.len())), Err)
    }
}
