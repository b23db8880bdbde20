//! The scenarios, and what they have in common: a system, a load, an end at which everything is compared.
//!
//! Owns: beginning the load, waiting for its end, the checks afterwards. Must not know: what is done meanwhile.

mod client;
pub(crate) mod faults;
pub(crate) mod restore;
pub(crate) mod rolling;
pub(crate) mod scale;
pub(crate) mod trouble;

use crate::checks::{self, Extra};
use crate::faults::WRONG;
use crate::keep;
use crate::load::people::{self, User};
use crate::load::publish::{self, Desk};
use crate::load::{self, late};
use crate::report::{Check, Outcome};
use crate::seed::{self, Purpose};
use crate::system::System;
use crate::tally::Tally;
use anyhow::{Context, Result, ensure};
use std::collections::BTreeMap;
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

/// What all scenarios are told.
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
    /// Starts everything, and begins to publish `events` messages spread over `duration`.
    pub(crate) async fn begin(
        name: &'static str,
        options: &Options,
        (events, duration): (u32, Duration),
        data: Option<&Path>,
    ) -> Result<Self> {
        options.view.phase(&format!("{name}: starting"), 0);
        let users = Arc::new(people::draw(&mut seed::stream(
            options.seed,
            Purpose::People,
        )));
        let scripts = load::scripts(options.seed, &users, events).await?;
        let system = Arc::new(System::start(options.workers, data).await?);
        people::create(&system.pool, &users).await?;
        let (published, faults) = (Arc::new(Tally::default()), Arc::new(Tally::default()));
        let (sender, wanted) = mpsc::channel(LATE_QUEUE);
        let longest = LATE_MAX.min(duration / 4);
        let late = late::run(
            system.pool.clone(),
            users.clone(),
            wanted,
            longest,
            options.view.clone(),
        );
        let late = tokio::spawn(late);
        let planned = u64::try_from(scripts.iter().map(Vec::len).sum::<usize>())?;
        let mut publishers = JoinSet::new();
        for script in scripts {
            let desk = Desk {
                nats_url: system.nats_url.clone(),
                duration,
                tally: published.clone(),
                late: sender.clone(),
                stop: options.stop.clone(),
            };
            publishers.spawn(publish::run(desk, script));
        }
        let (options, begun) = (options.clone(), Instant::now());
        Ok(Self {
            name,
            options,
            system,
            users,
            published,
            faults,
            begun,
            publishers,
            late,
            planned,
        })
    }

    /// Something that must not happen.
    pub(crate) fn wrong(&self, what: &str) {
        self.faults.count(&format!("{WRONG}{what}"));
        self.options
            .view
            .say(&format!("{:>7.1?} {WRONG}{what}", self.begun.elapsed()));
    }

    /// After `done`, the scenario's own part, waits for the end of the load, lets everything recover, and compares.
    /// Trouble on the way is a finding, so that there is a report of it.
    ///
    /// # Errors
    /// When it was stopped by a signal.
    pub(crate) async fn end(mut self, done: Result<Vec<Extra>>) -> Result<Outcome> {
        ensure!(!self.options.stop.is_cancelled(), "stopped by a signal");
        let finished = match done {
            Ok(extra) => self.finish(&extra).await,
            Err(error) => Err(error),
        };
        ensure!(!self.options.stop.is_cancelled(), "stopped by a signal");
        let outcome = finished.unwrap_or_else(|error| self.broken(&error));
        if !outcome.passed() {
            let folder = self.options.keep.join(self.name);
            match keep::everything(&self.system, &folder).await {
                Ok(()) => self
                    .options
                    .view
                    .say(&format!("kept for diagnosis: {}", folder.display())),
                Err(error) => {
                    let place = folder.display();
                    self.options.view.say(&format!(
                        "not everything could be kept in {place}: {error:#}"
                    ));
                }
            }
        }
        Ok(outcome)
    }

    fn broken(&self, error: &anyhow::Error) -> Outcome {
        let findings = vec![format!("{error:#}")];
        let check = Check {
            what: "the run comes to its end",
            extent: "everything".to_owned(),
            findings,
        };
        let seconds = self.begun.elapsed().as_secs();
        Outcome {
            scenario: self.name,
            load_seconds: seconds,
            settled_seconds: seconds,
            stored: self.published.get("messages"),
            events_per_second: 0,
            published: self.published.all(),
            faults: self.faults.all(),
            seen: BTreeMap::new(),
            checks: vec![check],
        }
    }

    async fn join_publishers(&mut self) -> Result<()> {
        let (mut published, mut moved_at) = (0, Instant::now());
        loop {
            match tokio::time::timeout(LOOK, self.publishers.join_next()).await {
                Ok(None) => return Ok(()),
                Ok(Some(ended)) => ended??,
                Err(_) => {}
            }
            let now = self.published.get("messages");
            if now != published {
                (published, moved_at) = (now, Instant::now());
            }
            ensure!(
                moved_at.elapsed() < STUCK_LIMIT,
                "nothing can be published any more"
            );
            self.options.view.progress(now);
        }
    }

    async fn finish(&mut self, extra: &[Extra]) -> Result<Outcome> {
        self.options.view.phase(
            &format!("{}: the rest of the load", self.name),
            self.planned,
        );
        self.join_publishers().await?;
        let late = (&mut self.late).await?;
        ensure!(!self.options.stop.is_cancelled(), "stopped by a signal");
        let loaded = self.begun.elapsed();
        self.options
            .view
            .phase(&format!("{}: recovering", self.name), 0);
        self.system
            .wait_until_ready()
            .await
            .context("the system does not recover")?;
        let messages = checks::stream::read_all(&self.system.nats_url).await?;
        checks::settle::wait(&self.system, &messages, &self.options).await?;
        let settled = self.begun.elapsed();
        self.options
            .view
            .phase(&format!("{}: comparing", self.name), 0);
        let checks = checks::all(self, &messages, extra).await?;
        let stored = u64::try_from(messages.len())?;
        let published = self.published.all();
        let mut seen = checks::seen::from_logs(&self.system).await?;
        seen.insert("late things made".to_owned(), u64::try_from(late)?);
        seen.insert(
            "stored twice because an acknowledgement was lost".to_owned(),
            stored.saturating_sub(self.published.get("messages")),
        );
        let millis = u64::try_from(settled.as_millis())?.max(1);
        Ok(Outcome {
            scenario: self.name,
            load_seconds: loaded.as_secs(),
            settled_seconds: settled.as_secs(),
            stored,
            events_per_second: stored * 1000 / millis,
            published,
            faults: self.faults.all(),
            seen,
            checks,
        })
    }
}
