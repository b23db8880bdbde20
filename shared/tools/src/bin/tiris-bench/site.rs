//! The context of a scenario, its outcome, and a site: a database with a broker.

use crate::figure::Line;
use crate::publish::{Events, Load};
use crate::sizes::Sizes;
use crate::stage::{Database, Stage};
use crate::worker::{self, Backlog, Drained};
use anyhow::{Result, ensure};
use tiris_testing::{NatsServer, View};
use tiris_tools::{Curve, EventIds, Population, bot_url};
use tokio_util::sync::CancellationToken;

/// The log levels of every scenario but OVERHEAD.
pub(crate) const LOG: &str = "info,async_nats=warn,poem=warn";
pub(crate) const MANY: Population = Population::new(2_000, 4);
pub(crate) const ONE: Population = Population::new(1, 1);

/// The figures of a scenario.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) lines: Vec<Line>,
    pub(crate) curve: Option<Curve>,
}

impl From<Vec<Line>> for Outcome {
    fn from(lines: Vec<Line>) -> Self {
        Self { lines, curve: None }
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
    /// Shows the current step; fails after a signal to stop.
    pub(crate) fn phase(&self, what: &str) -> Result<()> {
        ensure!(!self.stop.is_cancelled(), "stopped by a signal");
        self.view.phase(what, 0);
        Ok(())
    }

    /// Drains a backlog of `events` on a new database and checks the books.
    pub(crate) async fn fresh_backlog(
        &self,
        population: Population,
        events: u64,
        log: &str,
    ) -> Result<Drained> {
        let mut site = Site::open(&self.stage, population).await?;
        let drained = site
            .backlog(&self.stage, events, EventIds::Ordered, log)
            .await?;

        site.check_and_close(&self.stage).await?;
        Ok(drained)
    }
}

/// A database and a broker with streams.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) database: Database,
    pub(crate) nats: NatsServer,
    pub(crate) population: Population,
    /// The number of events published or stored so far.
    pub(crate) events: u64,
}

impl Site {
    pub(crate) async fn open(stage: &Stage, population: Population) -> Result<Self> {
        let database = stage.database(population).await?;
        let nats = start_broker(stage, &database).await?;
        Ok(Self {
            database,
            nats,
            population,
            events: 0,
        })
    }

    /// Publishes the next `count` events, `rate` a second or, with 0, as fast as possible.
    pub(crate) async fn publish(&mut self, count: u64, ids: EventIds, rate: u64) -> Result<()> {
        let events = Events {
            nats_url: bot_url(self.nats.port()),
            load: Load::Movements(self.population, ids),
            numbers: self.events..self.events + count,
            rate,
        };
        events.publish().await?;
        self.events += count;
        Ok(())
    }

    /// Publishes the next `count` events, then starts a worker that commits them.
    pub(crate) async fn backlog(
        &mut self,
        stage: &Stage,
        count: u64,
        ids: EventIds,
        log: &str,
    ) -> Result<Drained> {
        self.publish(count, ids, 0).await?;
        let backlog = Backlog {
            events: count,
            postings: count,
        };
        worker::drain(stage, &self.database, &self.nats, backlog, log).await
    }

    /// Checks the books, then removes the database and the broker, so that the disk does not fill.
    pub(crate) async fn check_and_close(self, stage: &Stage) -> Result<()> {
        self.database.check(self.events).await?;
        remove_broker(self.nats).await?;
        stage.drop(self.database).await
    }
}

/// Starts a broker with the streams, which a worker declares when it starts.
pub(crate) async fn start_broker(stage: &Stage, database: &Database) -> Result<NatsServer> {
    let nats = stage.nats().await?;
    let mut worker = worker::launch(stage, database, &nats, "warn")?;
    worker.wait_until_ready().await?;
    worker.stop().await?;
    Ok(nats)
}

/// Stops a broker and deletes its streams.
pub(crate) async fn remove_broker(mut nats: NatsServer) -> Result<()> {
    nats.stop().await?;
    Ok(tokio::fs::remove_dir_all(nats.store()).await?)
}
