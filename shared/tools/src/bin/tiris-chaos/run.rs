//! A system under load: the shared state of a run, and the tasks that publish.

use crate::load::late;
use crate::load::publish;
use crate::load::script;
use crate::load::users::{User, create};
use crate::system::System;
use crate::tally::{Tally, WRONG};
use anyhow::{Result, ensure};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tiris_testing::View;
use tiris_tools::Stall;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

const LATE_QUEUE: usize = 1024;
const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// The settings of all scenarios.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) seed: u64,
    pub(crate) seconds: u32,
    pub(crate) events: u32,
    pub(crate) workers: usize,
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

/// The tasks of a load. Dropping them ends the load.
#[derive(Debug)]
pub(crate) struct Publishing {
    publishers: JoinSet<Result<()>>,
    late: AbortOnDropHandle<usize>,
}

impl Run {
    /// Starts the system and its load. With `data`, the database lies in this folder.
    pub(crate) async fn begin(
        load: Load,
        options: &Options,
        data: Option<&Path>,
    ) -> Result<(Arc<Self>, Publishing)> {
        options.view.phase(&format!("{}: starting", load.name), 0);
        let (users, scripts) = script::draw_all(options.seed, load.events).await?;
        let planned = scripts.iter().map(Vec::len).sum::<usize>();
        let system = System::start(options.workers, data).await?;
        create(&system.pool, &users).await?;

        let run = Arc::new(Self {
            load,
            options: options.clone(),
            system,
            users,
            published: Tally::default(),
            faults: Tally::default(),
            begun: Instant::now(),
            planned: u64::try_from(planned)?,
        });
        let (sender, wanted) = mpsc::channel(LATE_QUEUE);
        let publish = |script| publish::run(run.clone(), sender.clone(), script);
        let publishing = Publishing {
            publishers: scripts.into_iter().map(publish).collect(),
            late: AbortOnDropHandle::new(tokio::spawn(late::run(run.clone(), wanted))),
        };
        Ok((run, publishing))
    }

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

impl Publishing {
    /// Waits until everything is published and every late thing is created; returns the number of late things.
    pub(crate) async fn end(mut self, run: &Run) -> Result<usize> {
        let mut stall = Stall::default();
        loop {
            match tokio::time::timeout(POLL_INTERVAL, self.publishers.join_next()).await {
                Ok(None) => break,
                Ok(Some(ended)) => ended??,
                Err(_) => {}
            }
            let published = run.published.get("messages");
            stall.check(format_args!("{published} messages published"))?;
            run.progress();
        }

        Ok(self.late.await?)
    }
}
