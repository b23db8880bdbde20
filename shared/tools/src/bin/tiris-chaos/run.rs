//! A system with a load on it.
//!
//! Owns: beginning the load and waiting for its end. Must not know: what is done to the system meanwhile.

use crate::load::late;
use crate::load::people::{self, User};
use crate::load::publish::{self, Desk};
use crate::load::script;
use crate::seed::{self, Purpose};
use crate::system::System;
use crate::tally::Tally;
use anyhow::{Result, ensure};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tiris_testing::View;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

/// Longest wait between the first event for a late thing and its making.
const LATE_MAX: Duration = Duration::from_secs(8);
const LATE_QUEUE: usize = 1024;
/// Without a message published for so long something is stuck.
const STUCK_LIMIT: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(500);

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
    /// Fails when a person wants the run to end.
    pub(crate) fn check_stop(&self) -> Result<()> {
        ensure!(!self.stop.is_cancelled(), "stopped by a signal");
        Ok(())
    }
}

/// A scenario's name and load.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) name: &'static str,
    /// Messages to publish.
    pub(crate) events: u32,
    /// The time they are spread over.
    pub(crate) duration: Duration,
}

/// A system with a load on it.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) name: &'static str,
    pub(crate) options: Options,
    pub(crate) system: Arc<System>,
    pub(crate) users: Arc<Vec<User>>,
    /// What was published.
    pub(crate) published: Arc<Tally>,
    /// What was done to the system, and what was seen of it.
    pub(crate) faults: Arc<Tally>,
    pub(crate) begun: Instant,
    publishers: JoinSet<Result<()>>,
    late: JoinHandle<usize>,
    /// Messages of all scripts.
    pub(crate) planned: u64,
}

impl Run {
    /// Starts everything, and begins to publish. With `data` the database lies there.
    pub(crate) async fn begin(load: Load, options: &Options, data: Option<&Path>) -> Result<Self> {
        options.view.phase(&format!("{}: starting", load.name), 0);
        let mut rng = seed::stream(options.seed, Purpose::People);
        let users = Arc::new(people::draw(&mut rng));
        let scripts = script::draw_all(options.seed, &users, load.events).await?;
        let planned = u64::try_from(scripts.iter().map(Vec::len).sum::<usize>())?;
        let system = Arc::new(System::start(options.workers, data).await?);
        people::create(&system.pool, &users).await?;

        let (sender, wanted) = mpsc::channel(LATE_QUEUE);
        let longest = LATE_MAX.min(load.duration / 4);
        let view = options.view.clone();
        let late = late::run(system.pool.clone(), users.clone(), wanted, longest, view);
        let published = Arc::new(Tally::default());
        let desk = Desk {
            nats_url: system.nats_url.clone(),
            duration: load.duration,
            tally: published.clone(),
            late: sender,
            stop: options.stop.clone(),
        };
        let publish = |script| publish::run(desk.clone(), script);
        Ok(Self {
            name: load.name,
            options: options.clone(),
            late: tokio::spawn(late),
            publishers: scripts.into_iter().map(publish).collect(),
            system,
            users,
            published,
            faults: Arc::default(),
            begun: Instant::now(),
            planned,
        })
    }

    /// Shows what goes on.
    pub(crate) fn phase(&self, what: &str) {
        self.options
            .view
            .phase(&format!("{}: {what}", self.name), 0);
    }

    /// Shows what goes on while the load does.
    pub(crate) fn phase_of_load(&self, what: &str) {
        let what = format!("{}: {what}", self.name);
        self.options.view.phase(&what, self.planned);
    }

    /// Shows how many messages are published.
    pub(crate) fn progress(&self) {
        self.options.view.progress(self.published.get("messages"));
    }

    /// Notes something that must not happen.
    pub(crate) fn wrong(&self, what: &str) {
        self.faults.wrong(what, self.begun, &self.options.view);
    }

    /// Waits until everything is published and every late thing is made; returns how many things were late.
    pub(crate) async fn end_load(&mut self) -> Result<usize> {
        let mut published = 0;
        let mut moved_at = Instant::now();
        loop {
            match tokio::time::timeout(LOOK, self.publishers.join_next()).await {
                Ok(None) => break,
                Ok(Some(ended)) => ended??,
                Err(_) => {}
            }
            let now = self.published.get("messages");
            if now != published {
                published = now;
                moved_at = Instant::now();
            }
            ensure!(
                moved_at.elapsed() < STUCK_LIMIT,
                "nothing can be published any more"
            );
            self.progress();
        }

        Ok((&mut self.late).await?)
    }
}
