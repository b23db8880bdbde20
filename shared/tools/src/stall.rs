//! Detects a system that makes no progress.

use anyhow::{Result, ensure};
use std::fmt::Display;
use std::time::{Duration, Instant};

/// The longest time without progress.
const STALL_LIMIT: Duration = Duration::from_secs(60);

/// The last state of a system and the time since when it has not changed.
#[derive(Debug)]
pub struct Stall {
    state: String,
    since: Instant,
}

impl Default for Stall {
    fn default() -> Self {
        Self {
            state: String::new(),
            since: Instant::now(),
        }
    }
}

impl Stall {
    /// Notes the current state.
    ///
    /// # Errors
    /// When the state has not changed for a minute.
    pub fn check(&mut self, state: impl Display) -> Result<()> {
        let state = state.to_string();
        if state != self.state {
            self.state = state;
            self.since = Instant::now();
        }
        ensure!(
            self.since.elapsed() < STALL_LIMIT,
            "no progress for {} s: {}",
            STALL_LIMIT.as_secs(),
            self.state
        );
        Ok(())
    }
}
