//! What is measured, one scenario a file.
//!
//! Owns: their names and order, and what several of them need. Must not know: how figures are shown.

mod backlog;
mod growth;
mod history;
mod latency;
mod logs;
mod outage;
mod overhead;
mod pages;
mod portal;
mod read;
mod start;

use crate::figure::{Curve, Line};
use crate::people::{Ids, People};
use crate::publish::Events;
use crate::sizes::Sizes;
use crate::stage::{Database, Stage};
use crate::worker::{self, Drained};
use anyhow::{Result, ensure};
use tiris_testing::{NatsServer, View};
use tokio_util::sync::CancellationToken;

/// What is logged unless a scenario is about logging.
pub(crate) const LOG: &str = "info,async_nats=warn,poem=warn";
/// The accounts of a backlog, some to a user.
pub(crate) const MANY: People = People::new(2_000, 4);
/// One for all events.
pub(crate) const ONE: People = People::new(1, 1);

/// A scenario by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "UPPER")]
pub(crate) enum Scenario {
    /// A backlog over many accounts
    S1,
    /// A backlog of one account
    S2,
    /// From publishing to the commit
    S3,
    /// A backlog where much is stored
    S4,
    /// What waits after an outage
    S5,
    /// One account over HTTP
    S6,
    /// Pages of a long history over HTTP
    S7,
    /// Trades over HTTP
    S8,
    /// A thousand connections
    S9,
    /// Start, memory, size
    S10,
    /// A backlog into tables with 24 months of history
    H24,
    /// What logging and metrics cost
    Overhead,
}

/// What a scenario measured.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) lines: Vec<Line>,
    pub(crate) curves: Vec<Curve>,
}

impl From<Vec<Line>> for Outcome {
    fn from(lines: Vec<Line>) -> Self {
        Self {
            lines,
            curves: Vec::new(),
        }
    }
}

/// What scenarios work with.
#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) stage: Stage,
    pub(crate) sizes: Sizes,
    pub(crate) view: View,
    pub(crate) stop: CancellationToken,
}

/// A database and a broker with streams.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) database: Database,
    pub(crate) nats: NatsServer,
    pub(crate) people: People,
    /// Events published or stored up to now.
    pub(crate) events: u64,
}

impl Scenario {
    pub(crate) async fn run(self, bench: &Bench) -> Result<Outcome> {
        match self {
            Self::S1 => backlog::run(bench, MANY).await,
            Self::S2 => backlog::run(bench, ONE).await,
            Self::S3 => latency::run(bench).await,
            Self::S4 => growth::run(bench).await,
            Self::S5 => outage::run(bench).await,
            Self::S6 => read::run(bench).await,
            Self::S7 => pages::run(bench).await,
            Self::S8 => logs::run(bench).await,
            Self::S9 => portal::run(bench).await,
            Self::S10 => start::run(bench).await,
            Self::H24 => history::run(bench).await,
            Self::Overhead => overhead::run(bench).await,
        }
    }
}

impl Bench {
    /// Says what goes on; fails when a person wants it to end.
    pub(crate) fn phase(&self, what: &str) -> Result<()> {
        ensure!(!self.stop.is_cancelled(), "stopped by a signal");
        self.view.phase(what, 0);
        Ok(())
    }

    pub(crate) async fn site(&self, people: People) -> Result<Site> {
        Site::open(&self.stage, people).await
    }

    /// Rates of so many backlogs of `events`, each on a database of its own; the books are checked.
    pub(crate) async fn fresh_backlog(
        &self,
        people: People,
        events: u64,
        log: &str,
    ) -> Result<Drained> {
        let mut site = self.site(people).await?;
        let drained = site.backlog(&self.stage, events, Ids::Ordered, log).await?;
        site.database.check(site.events).await?;
        site.close(&self.stage).await?;
        Ok(drained)
    }
}

impl Site {
    pub(crate) async fn open(stage: &Stage, people: People) -> Result<Self> {
        let (database, nats) = (stage.database(people).await?, stage.nats().await?);
        worker::declare(stage, &database, &nats).await?;
        Ok(Self {
            database,
            nats,
            people,
            events: 0,
        })
    }

    /// Which events come next.
    pub(crate) fn next(&self, count: u64, ids: Ids, rate: u64) -> Events {
        let People {
            accounts,
            accounts_per_user,
        } = self.people;
        Events {
            accounts,
            accounts_per_user,
            first: self.events,
            count,
            ids,
            rate,
        }
    }

    /// So many events wait, then a worker comes and commits them.
    pub(crate) async fn backlog(
        &mut self,
        stage: &Stage,
        count: u64,
        ids: Ids,
        log: &str,
    ) -> Result<Drained> {
        self.next(count, ids, 0).publish(&self.nats.url()).await?;
        self.events += count;
        worker::drain(stage, &self.database, &self.nats, self.events, log).await
    }

    pub(crate) async fn close(mut self, stage: &Stage) -> Result<()> {
        self.nats.stop().await?;
        tokio::fs::remove_dir_all(self.nats.store()).await?;
        stage.drop(self.database).await
    }
}
