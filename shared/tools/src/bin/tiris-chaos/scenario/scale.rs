//! Several workers beside one: the same load in the same run, and how fast lanes change hands under it.
//!
//! Owns: the workers without proxies, the load, what is measured. Must not know: faults; what is compared with a limit is
//! the hand-over alone, throughput is told.

use super::Options;
use crate::report::{Check, Outcome};
use anyhow::{Result, ensure};
use async_nats::jetstream;
use serde_json::json;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};
use tiris_testing::{
    NatsServer, NatsSettings, PgServer, PgSettings, Process, binary, eventually, scratch_dir,
};
use uuid::Uuid;

/// Events of one measurement, over so many users: some seconds of work, also for an optimised build.
const EVENTS: usize = if cfg!(debug_assertions) {
    40_000
} else {
    160_000
};
const USERS: usize = 64;
/// Rounds, each with one worker and with several; the medians are told.
const ROUNDS: usize = 3;
/// As many lanes as by default.
const LANES: usize = 16;
const LEASE: Duration = Duration::from_secs(2);
/// Above the lease: the others look five times within one.
const HAND_OVER_MARGIN: Duration = Duration::from_secs(1);
/// Acknowledgements waited for at once.
const WINDOW: usize = 1_000;
const WAIT: Duration = Duration::from_secs(120);
const EXIT_LIMIT: Duration = Duration::from_secs(20);

struct Stage {
    workers: Vec<Process>,
    pool: PgPool,
    jetstream: jetstream::Context,
    users: Vec<[Uuid; 3]>,
    published: usize,
    database_url: String,
    nats: NatsServer,
    _postgres: PgServer,
    folder: tempfile::TempDir,
}

pub(crate) async fn run(options: &Options) -> Result<Outcome> {
    let begun = Instant::now();
    options.view.phase("scale: starting", 0);
    let mut stage = Stage::start().await?;
    // The first worker makes the streams.
    stage.share(1).await?;
    stage.stop_workers().await?;
    let mut rates: BTreeMap<usize, Vec<u64>> = BTreeMap::new();
    for round in 0..ROUNDS {
        for workers in [1, options.workers] {
            ensure!(!options.stop.is_cancelled(), "stopped by a signal");
            options.view.phase(
                &format!("scale: round {} with {workers} worker(s)", round + 1),
                0,
            );
            rates
                .entry(workers)
                .or_default()
                .push(stage.measure(workers).await?);
        }
    }
    options.view.phase("scale: lanes change hands", 0);
    let (left, joined) = stage.hand_over(options.workers).await?;
    stage.stop_workers().await?;
    let mut seen = BTreeMap::new();
    for (workers, mut rates) in rates {
        rates.sort_unstable();
        seen.insert(
            format!("events/s with {workers} worker(s), median of {ROUNDS}"),
            rates[ROUNDS / 2],
        );
        seen.insert(
            format!("events/s with {workers} worker(s), slowest"),
            rates[0],
        );
    }
    seen.insert(
        "lanes of a killed worker taken after, milliseconds".to_owned(),
        millis(left),
    );
    seen.insert(
        "a new worker had its share after, milliseconds".to_owned(),
        millis(joined),
    );
    let checks = vec![
        within("lanes of a killed worker go to others", left),
        within("a new worker gets its share", joined),
        stage.check_books().await?,
        stage.check_order().await?,
    ];
    let stored = u64::try_from(stage.published)?;
    Ok(Outcome {
        scenario: "scale",
        load_seconds: begun.elapsed().as_secs(),
        settled_seconds: begun.elapsed().as_secs(),
        stored,
        events_per_second: stored * 1000 / millis(begun.elapsed()).max(1),
        published: BTreeMap::from([("trading.balance.updated".to_owned(), stored)]),
        faults: BTreeMap::from([("worker killed (SIGKILL)".to_owned(), 1)]),
        seen,
        checks,
    })
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn within(what: &'static str, took: Duration) -> Check {
    let limit = LEASE + HAND_OVER_MARGIN;
    let findings = if took <= limit {
        Vec::new()
    } else {
        vec![format!("took {took:?} instead of at most {limit:?}")]
    };
    Check {
        what,
        extent: format!("{} ms, lease {} ms", millis(took), millis(LEASE)),
        findings,
    }
}

impl Stage {
    async fn start() -> Result<Self> {
        let folder = scratch_dir("scale")?;
        let postgres =
            PgServer::start(&folder.path().join("postgres"), PgSettings::default()).await?;
        let database_url = postgres.url("postgres");
        tiris_migrations::up(&database_url).await?;
        let nats = NatsServer::start(&folder.path().join("nats"), NatsSettings::default()).await?;
        let pool = PgPoolOptions::new()
            .max_connections(4)
            .connect_lazy(&database_url)?;
        let users = make_users(&pool).await?;
        let jetstream = jetstream::new(async_nats::connect(nats.url()).await?);
        let workers = Vec::new();
        Ok(Self {
            workers,
            pool,
            jetstream,
            users,
            published: 0,
            database_url,
            nats,
            _postgres: postgres,
            folder,
        })
    }

    fn launch(&self) -> Result<Process> {
        let log: &Path = &self
            .folder
            .path()
            .join(format!("ingest-{}.log", self.workers.len()));
        Process::command(binary("tiris-ingest")?)
            .arg("run")
            .env("DATABASE_URL", &self.database_url)
            .env("NATS_URL", self.nats.url())
            .env("TIRIS_ENV", "dev")
            .env("TIRIS_LANES", LANES.to_string())
            .env("TIRIS_LEASE_SECONDS", LEASE.as_secs().to_string())
            .env("TIRIS_ADMIN_LISTEN", "127.0.0.1:0")
            .log(log)
            .show_log(false)
            .spawn()
    }

    /// Launches workers until there are so many.
    fn staff(&mut self, workers: usize) -> Result<()> {
        while self.workers.len() < workers {
            self.workers.push(self.launch()?);
        }
        Ok(())
    }

    /// So many workers, each with its share of the lanes.
    async fn share(&mut self, workers: usize) -> Result<()> {
        self.staff(workers)?;
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

    /// Events per second of workers that find a backlog, once each has its share of the lanes, to the last commit.
    /// Publishing beside them would measure the publisher, which is slower than they are.
    async fn measure(&mut self, workers: usize) -> Result<u64> {
        let before = self.done().await?;
        self.publish(EVENTS).await?;
        self.share(workers).await?;
        let (begun, first) = (Instant::now(), self.done().await?);
        self.all_done().await?;
        let took = begun.elapsed();
        self.stop_workers().await?;
        let counted = before + i64::try_from(EVENTS)? - first;
        Ok(u64::try_from(counted)? * 1000 / millis(took).max(1))
    }

    /// Events in the books: each is one posting.
    async fn done(&self) -> Result<i64> {
        let done =
            sqlx::query_scalar("SELECT coalesce(sum(sequence), 0)::bigint FROM sub_accounts");
        Ok(done.fetch_one(&self.pool).await?)
    }

    async fn publish(&mut self, count: usize) -> Result<()> {
        let mut under_way = std::collections::VecDeque::with_capacity(WINDOW);
        for number in self.published..self.published + count {
            let [user, trading, account] = self.users[number % USERS];
            let event = json!({
                "event_id": format!("e-{number:09}"), "event_type": "trading.balance.updated",
                "timestamp": "2026-01-01T00:00:00Z", "user_id": user, "trading_id": trading,
                "sub_account_id": account, "symbol": "BTC", "amount": "0.00000001", "direction": "credit",
                "reason": "trade", "source": "scale", "version": "1.0",
            });
            let subject = format!("trading.balance.updated.{user}");
            under_way.push_back(
                self.jetstream
                    .publish(subject, event.to_string().into())
                    .await?,
            );
            if under_way.len() >= WINDOW
                && let Some(oldest) = under_way.pop_front()
            {
                oldest.await?;
            }
        }
        for acknowledgement in under_way {
            acknowledgement.await?;
        }
        self.published += count;
        Ok(())
    }

    async fn all_done(&self) -> Result<()> {
        let expected = i64::try_from(self.published)?;
        eventually("the last commit", WAIT, async || {
            let done = self.done().await?;
            ensure!(done == expected, "{done} of {expected}");
            Ok(())
        })
        .await
    }

    async fn stop_workers(&mut self) -> Result<()> {
        for mut worker in std::mem::take(&mut self.workers) {
            let exit = worker.terminate(EXIT_LIMIT).await?;
            ensure!(exit.code() == Some(0), "a worker ended with {exit}");
        }
        Ok(())
    }

    /// Under load, how long the lanes of a killed worker are without an owner, and how long a new one waits for its share.
    async fn hand_over(&mut self, workers: usize) -> Result<(Duration, Duration)> {
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
        Ok((left, joined))
    }

    async fn check_books(&self) -> Result<Check> {
        let report =
            tiris_migrations::verify(&self.database_url, &indicatif::ProgressBar::hidden()).await?;
        let letters: i64 = sqlx::query_scalar("SELECT count(*) FROM dead_letters")
            .fetch_one(&self.pool)
            .await?;
        let mut findings = Vec::new();
        if !report.is_clean() {
            findings.push(report.to_string());
        }
        if letters > 0 {
            findings.push(format!("{letters} dead letters"));
        }
        Ok(Check {
            what: "books",
            extent: format!("{} events", self.published),
            findings,
        })
    }

    /// Event ids rise in the order of publishing.
    async fn check_order(&self) -> Result<Check> {
        let wrong: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM (SELECT event_id, lag(event_id) OVER (PARTITION BY user_id ORDER BY timestamp, id) \
             AS before FROM trading_logs) l WHERE before >= event_id",
        )
        .fetch_one(&self.pool)
        .await?;
        let findings = if wrong == 0 {
            Vec::new()
        } else {
            vec![format!("{wrong} logs before an earlier event's")]
        };
        Ok(Check {
            what: "order of each user's events",
            extent: format!("{USERS} users"),
            findings,
        })
    }
}

/// Users, each with a trading and an account.
async fn make_users(pool: &PgPool) -> Result<Vec<[Uuid; 3]>> {
    let mut users = Vec::with_capacity(USERS);
    for number in 0..USERS {
        let ids: [Uuid; 3] = std::array::from_fn(|_| Uuid::now_v7());
        let [user, trading, account] = ids;
        sqlx::query("INSERT INTO users (id, username) VALUES ($1, $2)")
            .bind(user)
            .bind(format!("user-{number}"))
            .execute(pool)
            .await?;
        sqlx::query(
            "INSERT INTO tradings (id, user_id, name, type) VALUES ($1, $2, 'scale', 'paper')",
        )
        .bind(trading)
        .bind(user)
        .execute(pool)
        .await?;
        sqlx::query(
            "INSERT INTO sub_accounts (id, user_id, trading_id, name, symbol) VALUES ($1, $2, $3, 'BTC', 'BTC')",
        )
        .bind(account)
        .bind(user)
        .bind(trading)
        .execute(pool)
        .await?;
        users.push(ids);
    }
    Ok(users)
}
