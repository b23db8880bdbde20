//! The ingest process that is measured.
//!
//! Owns: its start, its metrics, and how long it takes to empty a stream. Must not know: targets.

use crate::figure::per_second;
use crate::memory;
use crate::stage::{Database, Stage, metrics};
use anyhow::{Context, Result, ensure};
use std::time::{Duration, Instant};
use tiris_testing::{NatsServer, Process, free_port, local_http_client};
use tiris_tools::{READY_LIMIT, ready_url, service};

const EXIT_LIMIT: Duration = Duration::from_secs(30);
/// How often the database is asked how far the worker is.
const LOOK: Duration = Duration::from_millis(100);
/// Without any progress for so long, something is wrong.
const STUCK_LIMIT: Duration = Duration::from_secs(60);

/// A running worker.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) process: Process,
    admin_port: u16,
}

/// What emptying a stream took.
#[derive(Clone, Debug)]
pub(crate) struct Drained {
    pub(crate) events: u64,
    /// From the start of consuming to the last commit, by the clock of PostgreSQL.
    pub(crate) time: Duration,
    /// Events of a transaction, on average.
    pub(crate) batch: u64,
    /// Connections it held at most.
    pub(crate) connections: u32,
    /// Resident at most.
    pub(crate) peak_kib: Option<u64>,
    /// How many were done after so many milliseconds.
    pub(crate) course: Vec<(u64, u64)>,
}

impl Drained {
    pub(crate) fn rate(&self) -> u64 {
        per_second(self.events, self.time)
    }
}

impl Worker {
    /// Starts it without waiting until it is ready.
    pub(crate) fn start(
        stage: &Stage,
        database: &Database,
        nats: &NatsServer,
        log: &str,
    ) -> Result<Self> {
        let admin_port = free_port()?;
        let process = service("tiris-ingest", "run", &database.url, admin_port)?
            .env("NATS_URL", nats.url())
            .env("TIRIS_BARE_SUBJECTS", "refuse")
            .env("TIRIS_LOG", log)
            .env("TIRIS_METRICS", metrics(log))
            // History that was made for a measurement must stay.
            .env("TIRIS_LOG_DAYS", "0")
            .log(stage.log("ingest"))
            .spawn()?;

        Ok(Self {
            process,
            admin_port,
        })
    }

    pub(crate) fn ready_url(&self) -> String {
        ready_url(self.admin_port)
    }

    pub(crate) async fn wait_until_ready(&mut self) -> Result<()> {
        let url = self.ready_url();
        self.process.wait_until_healthy(&url, READY_LIMIT).await
    }

    /// Ends it and insists on a clean end.
    pub(crate) async fn stop(mut self) -> Result<()> {
        let exit = self.process.terminate(EXIT_LIMIT).await?;
        ensure!(
            exit.code() == Some(0),
            "tiris-ingest ended with {exit}:\n{}",
            self.process.log_tail()
        );
        Ok(())
    }

    /// Events of a batch on average, by its metrics.
    async fn batch(&self) -> Result<u64> {
        let url = format!("http://127.0.0.1:{}/metrics", self.admin_port);
        let answer = local_http_client(READY_LIMIT)?.get(url).send().await?;
        let text = answer.text().await?;
        let total = |name: &str| -> u64 {
            let lines = text.lines().filter(|line| line.starts_with(name));
            lines
                .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
                .sum()
        };
        Ok(total("ingest_batch_size_sum")
            .checked_div(total("ingest_batch_size_count"))
            .unwrap_or(0))
    }
}

/// Has the streams made, which a worker does at its start.
pub(crate) async fn declare(stage: &Stage, database: &Database, nats: &NatsServer) -> Result<()> {
    let mut worker = Worker::start(stage, database, nats, "warn")?;
    worker.wait_until_ready().await?;
    worker.stop().await
}

/// A worker finds a stream with events in it, of which `expected` are in the books at the end, and empties it.
pub(crate) async fn drain(
    stage: &Stage,
    database: &Database,
    nats: &NatsServer,
    expected: u64,
    log: &str,
) -> Result<Drained> {
    let before = database.events().await?;
    let worker = Worker::start(stage, database, nats, log)?;
    let progress = follow(&worker, database, before, expected).await?;

    let drained = Drained {
        events: expected - before,
        time: consuming(database).await?,
        batch: worker.batch().await?,
        connections: progress.connections,
        peak_kib: memory::peak_kib(worker.process.pid()),
        course: progress.course,
    };
    worker.stop().await?;
    Ok(drained)
}

struct Progress {
    connections: u32,
    course: Vec<(u64, u64)>,
}

/// Follows a worker until `expected` events are in the books.
async fn follow(
    worker: &Worker,
    database: &Database,
    before: u64,
    expected: u64,
) -> Result<Progress> {
    let begun = Instant::now();
    let mut moved = begun;
    let mut done = before;
    let mut connections = 0;
    let mut course = vec![(0, 0)];

    while done < expected {
        tokio::time::sleep(LOOK).await;
        let now = database.events().await?;
        if now > done {
            done = now;
            moved = Instant::now();
            course.push((u64::try_from(begun.elapsed().as_millis())?, done - before));
        }
        connections = connections.max(open_connections(database).await?);
        ensure!(
            moved.elapsed() < STUCK_LIMIT,
            "ingest stands still at {done} of {expected}:\n{}",
            worker.process.log_tail()
        );
    }
    ensure!(
        done == expected,
        "{done} events in the books instead of {expected}"
    );
    Ok(Progress {
        connections,
        course,
    })
}

async fn open_connections(database: &Database) -> Result<u32> {
    let count: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'tiris-ingest' AND datname = current_database()",
    )
    .fetch_one(&database.pool)
    .await?;
    Ok(u32::try_from(count)?)
}

/// From the moment the worker that runs came for its lanes to the last commit of a balance.
async fn consuming(database: &Database) -> Result<Duration> {
    let micros: Option<i64> = sqlx::query_scalar(
        "SELECT (extract(epoch FROM (SELECT max(pg_xact_commit_timestamp(xmin)) FROM sub_accounts WHERE sequence > 0) \
                 - (SELECT max(started_at) FROM ingest_workers)) * 1000000)::bigint",
    )
    .fetch_one(&database.pool)
    .await?;
    Ok(Duration::from_micros(u64::try_from(
        micros.context("no worker, or no commit")?,
    )?))
}
