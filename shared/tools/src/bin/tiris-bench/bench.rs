//! What scenarios work with, and what they return.

use crate::figure::{Curve, Line};
use crate::people::{Ids, People};
use crate::publish::Events;
use crate::sizes::Sizes;
use crate::stage::{Database, Stage};
use crate::stored::{self, When};
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

/// The servers, sizes and terminal of a run.
#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) stage: Stage,
    pub(crate) sizes: Sizes,
    pub(crate) view: View,
    pub(crate) stop: CancellationToken,
}

impl Bench {
    /// Shows what goes on; fails when a person wants it to end.
    pub(crate) fn phase(&self, what: &str) -> Result<()> {
        ensure!(!self.stop.is_cancelled(), "stopped by a signal");
        self.view.phase(what, 0);
        Ok(())
    }

    pub(crate) async fn site(&self, people: People) -> Result<Site> {
        Site::open(&self.stage, people).await
    }

    /// Drains a backlog of `events` on a database of its own; the books are checked.
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

/// A database and a broker with streams.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) database: Database,
    pub(crate) nats: NatsServer,
    pub(crate) people: People,
    /// Events published or stored up to now.
    pub(crate) events: u64,
}

impl Site {
    pub(crate) async fn open(stage: &Stage, people: People) -> Result<Self> {
        let database = stage.database(people).await?;
        let nats = stage.nats().await?;
        worker::declare(stage, &database, &nats).await?;

        Ok(Self {
            database,
            nats,
            people,
            events: 0,
        })
    }

    /// The next `count` events.
    pub(crate) fn next(&self, count: u64, ids: Ids, rate: u64) -> Events {
        Events {
            accounts: self.people.accounts,
            accounts_per_user: self.people.accounts_per_user,
            first: self.events,
            count,
            ids,
            rate,
        }
    }

    /// Books so many events at once; `done` hears how many are booked.
    pub(crate) async fn store(
        &mut self,
        count: u64,
        ids: Ids,
        when: When,
        done: impl Fn(u64),
    ) -> Result<()> {
        let range = self.events..self.events + count;
        stored::book(&self.database, self.people, range, ids, when, done).await?;
        self.events += count;
        Ok(())
    }

    /// Publishes so many events, then starts a worker that commits them.
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
