//! The servers, workers without proxies, and users of the scenario.

use crate::scenario::servers::Servers;
use anyhow::{Result, ensure};
use async_nats::jetstream;
use chrono::Utc;
use std::time::{Duration, Instant};
use tiris_testing::eventually;
use tiris_tools::{EventIds, Population, PublishWindow, Service, booked_events};
use uuid::Uuid;

/// The events of a measurement: some seconds of work, also for an optimized build.
pub(super) const EVENTS: u64 = if cfg!(debug_assertions) {
    40_000
} else {
    160_000
};
pub(super) const USERS: Population = Population::new(64, 1);
/// The default number of lanes.
const LANES: usize = 16;
pub(super) const LEASE: Duration = Duration::from_secs(2);
const WAIT: Duration = Duration::from_secs(120);

/// How long lanes were without the owner they should have.
#[derive(Clone, Copy, Debug)]
pub(super) struct HandOver {
    /// From the death of a worker until others had its lanes.
    pub(super) left: Duration,
    /// From the start of a worker until it had its share.
    pub(super) joined: Duration,
}

pub(super) struct Stage {
    // Fields are dropped in this order: workers before servers.
    workers: Vec<Service>,
    jetstream: jetstream::Context,
    pub(super) published: u64,
    pub(super) servers: Servers,
}

impl Stage {
    pub(super) async fn start() -> Result<Self> {
        let servers = Servers::start("scale", USERS).await?;
        Ok(Self {
            workers: Vec::new(),
            jetstream: jetstream::new(async_nats::connect(servers.bot_url()).await?),
            published: 0,
            servers,
        })
    }

    fn launch(&self) -> Result<Service> {
        let servers = &self.servers;
        let log = format!("ingest-{}.log", self.workers.len());
        Service::launch("tiris-ingest", "run", &servers.database_url, |command| {
            command
                .env("NATS_URL", servers.nats.url())
                .env("TIRIS_LANES", LANES.to_string())
                .env("TIRIS_LEASE_SECONDS", LEASE.as_secs().to_string())
                .env("TIRIS_USER_EVENTS_PER_MINUTE", "0")
                .env("TIRIS_USER_BYTES_PER_MINUTE", "0")
                .log(servers.folder().join(log))
        })
    }

    /// Starts workers up to this number and waits until each has its share of the lanes.
    pub(super) async fn share(&mut self, workers: usize) -> Result<()> {
        while self.workers.len() < workers {
            self.workers.push(self.launch()?);
        }
        self.wait_until_shared(workers).await
    }

    /// Waits until exactly `workers` share all lanes fairly.
    async fn wait_until_shared(&self, workers: usize) -> Result<()> {
        let share = i64::try_from((2 * (LANES + 1)).div_ceil(workers))?;
        eventually("fair shares", WAIT, async || {
            let owners: Vec<(Option<Uuid>, i64)> = sqlx::query_as(
                "SELECT CASE WHEN lease_until > clock_timestamp() THEN owner END AS current, count(*) FROM ingest_lanes \
                 GROUP BY current",
            )
            .fetch_all(&self.servers.pool)
            .await?;
            let mut shares = owners.iter();
            let are_fair = shares.all(|(owner, count)| owner.is_some() && *count <= share);
            ensure!(owners.len() == workers && are_fair, "{owners:?}");
            Ok(())
        })
        .await
    }

    pub(super) async fn publish(&mut self, count: u64) -> Result<()> {
        let mut window = PublishWindow::new(&self.jetstream);
        for n in self.published..self.published + count {
            let (subject, payload) = USERS.event(n, EventIds::Ordered, Utc::now());
            window.publish(subject, payload).await?;
        }

        window.finish().await?;
        self.published += count;
        Ok(())
    }

    /// Waits until all published events are in the books.
    pub(super) async fn wait_until_done(&self) -> Result<()> {
        let expected = self.published;
        eventually("the last commit", WAIT, async || {
            let done = booked_events(&self.servers.pool).await?;
            ensure!(done == expected, "{done} of {expected}");
            Ok(())
        })
        .await
    }

    pub(super) async fn stop_workers(&mut self) -> Result<()> {
        for mut worker in self.workers.drain(..) {
            worker.stop().await?;
        }
        Ok(())
    }

    /// Under load, measures how long the lanes of a killed worker are without an owner, and how long a new worker waits
    /// for its share.
    pub(super) async fn hand_over(&mut self, workers: usize) -> Result<HandOver> {
        self.share(workers).await?;
        self.publish(EVENTS / 2).await?;
        if let Some(mut victim) = self.workers.pop() {
            victim.process.kill().await?;
        }
        let killed = Instant::now();
        self.wait_until_shared(workers - 1).await?;
        let left = killed.elapsed();

        self.publish(EVENTS / 2).await?;
        let joins = Instant::now();
        self.share(workers).await?;
        let joined = joins.elapsed();
        self.wait_until_done().await?;
        Ok(HandOver { left, joined })
    }
}
