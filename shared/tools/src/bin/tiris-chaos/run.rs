//! A system under load: the state that all tasks of a run share.

use crate::load::users::User;
use crate::system::System;
use crate::tally::{Tally, WRONG};
use anyhow::{Result, ensure};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tiris_testing::View;
use tiris_tools::Release;
use tokio_util::sync::CancellationToken;

/// The settings of all scenarios.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) seed: u64,
    pub(crate) seconds: u32,
    pub(crate) soak_seconds: u32,
    pub(crate) events: u32,
    pub(crate) workers: usize,
    /// The release that a rollout begins with, if not this build.
    pub(crate) earlier: Option<Release>,
    pub(crate) keep: PathBuf,
    pub(crate) stop: CancellationToken,
    pub(crate) view: View,
}

impl Options {
    /// Fails after a signal to stop.
    pub(crate) fn check_stop(&self) -> Result<()> {
        ensure!(!self.stop.is_cancelled(), "stopped by a signal");
        Ok(())
    }
}

/// The name and load of a scenario.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) name: &'static str,
    /// The number of messages to publish.
    pub(crate) events: u32,
    /// The time they are spread over.
    pub(crate) duration: Duration,
    /// Whether the streams get messages that no client can parse.
    pub(crate) has_unreadable: bool,
}

/// The state that the tasks of a run share.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) load: Load,
    pub(crate) options: Options,
    pub(crate) system: System,
    pub(crate) users: Vec<User>,
    pub(crate) published: Tally,
    /// Counts of faults and observations.
    pub(crate) faults: Tally,
    pub(crate) begun: Instant,
    /// The number of messages of all scripts.
    pub(crate) planned: u64,
}

impl Run {
    /// Shows the current step.
    pub(crate) fn phase(&self, what: &str) {
        let what = format!("{}: {what}", self.load.name);
        self.options.view.phase(&what, self.planned);
        self.progress();
    }

    /// Shows the number of published messages.
    pub(crate) fn progress(&self) {
        self.options.view.progress(self.published.get("messages"));
    }

    /// Counts a fault or observation and shows its details.
    pub(crate) fn note(&self, name: &str, details: &str) {
        self.faults.count(name);
        let line = format!("{:>7.1?} {name}: {details}", self.begun.elapsed());
        self.options.view.detail(&line);
    }

    /// Counts and shows something that must not happen.
    pub(crate) fn wrong(&self, what: &str) {
        let name = format!("{WRONG}{what}");
        self.faults.count(&name);
        let line = format!("{:>7.1?} {name}", self.begun.elapsed());
        self.options.view.say(&line);
    }
}
