//! The servers, workers without proxies and users of the scenario.

use anyhow::{Result, ensure};
use async_nats::jetstream;
use serde_json::json;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use std::time::{Duration, Instant};
use tiris_testing::{
    NatsServer, NatsSettings, PgServer, PgSettings, Process, eventually, scratch_dir,
};
use tiris_tools::{PublishWindow, service};
use uuid::Uuid;

/// Events of one measurement: some seconds of work, also for an optimised build.
pub(super) const EVENTS: usize = if cfg!(debug_assertions) {
    40_000
} else {
    160_000
};
const USERS: usize = 64;
/// As many lanes as by default.
const LANES: usize = 16;
pub(super) const LEASE: Duration = Duration::from_secs(2);
const WAIT: Duration = Duration::from_secs(120);
const EXIT_LIMIT: Duration = Duration::from_secs(20);

/// A user with a trading and an account.
#[derive(Clone, Copy, Debug)]
pub(super) struct User {
    id: Uuid,
    trading: Uuid,
    account: Uuid,
}

/// How long lanes were without the owner they should have.
#[derive(Clone, Copy, Debug)]
pub(super) struct HandOver {
    /// From the death of a worker until others had its lanes.
    pub(super) left: Duration,
    /// From the start of a worker until it had its share.
    pub(super) joined: Duration,
}

pub(super) struct Stage {
    // Fields are dropped in this order: workers before servers, the folder last.
    workers: Vec<Process>,
    pub(super) pool: PgPool,
    jetstream: jetstream::Context,
    pub(super) users: Vec<User>,
    pub(super) published: usize,
    pub(super) database_url: String,
    nats: NatsServer,
    _postgres: PgServer,
    folder: tempfile::TempDir,
}

impl Stage {
    pub(super) async fn start() -> Result<Self> {
        let folder = scratch_dir("scale")?;
        let home = folder.path().join("postgres");
        let postgres = PgServer::start(&home, PgSettings::default()).await?;
        let database_url = postgres.url("postgres");
        tiris_migrations::up(&database_url).await?;
        let nats = NatsServer::start(&folder.path().join("nats"), NatsSettings::default()).await?;
        let pool = PgPoolOptions::new()
            .max_connections(4)
            .connect_lazy(&database_url)?;

        Ok(Self {
            workers: Vec::new(),
            users: make_users(&pool).await?,
            pool,
            jetstream: jetstream::new(async_nats::connect(nats.url()).await?),
            published: 0,
            database_url,
            nats,
            _postgres: postgres,
            folder,
        })
    }

    fn launch(&self) -> Result<Process> {
        let log = format!("ingest-{}.log", self.workers.len());
        service("tiris-ingest", "run", &self.database_url, 0)?
            .env("NATS_URL", self.nats.url())
            .env("TIRIS_LANES", LANES.to_string())
            .env("TIRIS_LEASE_SECONDS", LEASE.as_secs().to_string())
            .log(self.folder.path().join(log))
            .spawn()
    }

    /// Launches workers until there are so many, and waits until each has its share of the lanes.
    pub(super) async fn share(&mut self, workers: usize) -> Result<()> {
        while self.workers.len() < workers {
            self.workers.push(self.launch()?);
        }
        self.shared_by(workers).await
    }

    /// Waits until exactly `workers` share all lanes fairly.
    async fn shared_by(&self, workers: usize) -> Result<()> {
        let share = (2 * (LANES + 1)).div_ceil(workers);
        eventually("fair shares", WAIT, async || {
            let owners: Vec<(Option<Uuid>, i64)> = sqlx::query_as(
                "SELECT CASE WHEN lease_until > clock_timestamp() THEN owner END AS who, count(*) FROM ingest_lanes \
                 GROUP BY who",
            )
            .fetch_all(&self.pool)
            .await?;
            let is_fair =
                |(who, count): &(Option<Uuid>, i64)| who.is_some() && usize::try_from(*count).is_ok_and(|c| c <= share);
            ensure!(owners.len() == workers && owners.iter().all(is_fair), "{owners:?}");
            Ok(())
        })
        .await
    }

    /// Events in the books: each is one posting.
    pub(super) async fn done(&self) -> Result<i64> {
        let done =
            sqlx::query_scalar("SELECT coalesce(sum(sequence), 0)::bigint FROM sub_accounts");
        Ok(done.fetch_one(&self.pool).await?)
    }

    pub(super) async fn publish(&mut self, count: usize) -> Result<()> {
        let mut window = PublishWindow::new(&self.jetstream);
        for number in self.published..self.published + count {
            let user = self.users[number % self.users.len()];
            let event = json!({
                "event_id": format!("e-{number:09}"), "event_type": "trading.balance.updated",
                "timestamp": "2026-01-01T00:00:00Z", "user_id": user.id, "trading_id": user.trading,
                "sub_account_id": user.account, "symbol": "BTC", "amount": "0.00000001", "direction": "credit",
                "reason": "trade", "source": "scale", "version": "1.0",
            });
            let subject = format!("trading.balance.updated.{}", user.id);
            window.publish(subject, event.to_string()).await?;
        }

        window.finish().await?;
        self.published += count;
        Ok(())
    }

    pub(super) async fn all_done(&self) -> Result<()> {
        let expected = i64::try_from(self.published)?;
        eventually("the last commit", WAIT, async || {
            let done = self.done().await?;
            ensure!(done == expected, "{done} of {expected}");
            Ok(())
        })
        .await
    }

    pub(super) async fn stop_workers(&mut self) -> Result<()> {
        for mut worker in self.workers.drain(..) {
            let exit = worker.terminate(EXIT_LIMIT).await?;
            ensure!(exit.code() == Some(0), "a worker ended with {exit}");
        }
        Ok(())
    }

    /// Under load, measures how long the lanes of a killed worker are without an owner, and how long a new one waits
    /// for its share.
    pub(super) async fn hand_over(&mut self, workers: usize) -> Result<HandOver> {
        self.share(workers).await?;
        self.publish(EVENTS / 2).await?;
        if let Some(mut victim) = self.workers.pop() {
            victim.kill().await?;
        }
        let killed = Instant::now();
        self.shared_by(workers - 1).await?;
        let left = killed.elapsed();

        self.publish(EVENTS / 2).await?;
        let joins = Instant::now();
        self.share(workers).await?;
        let joined = joins.elapsed();
        self.all_done().await?;
        Ok(HandOver { left, joined })
    }
}

async fn make_users(pool: &PgPool) -> Result<Vec<User>> {
    let mut users = Vec::with_capacity(USERS);
    for number in 0..USERS {
        let user = User {
            id: Uuid::now_v7(),
            trading: Uuid::now_v7(),
            account: Uuid::now_v7(),
        };
        sqlx::query(
            "WITH u AS (INSERT INTO users (id, username) VALUES ($1, $4)), \
             t AS (INSERT INTO tradings (id, user_id, name, type) VALUES ($2, $1, 'scale', 'paper')) \
             INSERT INTO sub_accounts (id, user_id, trading_id, name, symbol) VALUES ($3, $1, $2, 'BTC', 'BTC')",
        )
        .bind(user.id)
        .bind(user.trading)
        .bind(user.account)
        .bind(format!("user-{number}"))
        .execute(pool)
        .await?;
        users.push(user);
    }

    Ok(users)
}
