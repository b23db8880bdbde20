//! The ingest process that is measured.
//!
//! Owns: its start, what it tells of itself, and how long it takes to empty a stream. Must not know: targets.

use crate::figure::per_second;
use crate::memory;
use crate::stage::{Database, Stage};
use anyhow::{Context, Result, ensure};
use std::time::{Duration, Instant};
use tiris_testing::{NatsServer, Process, binary, free_port};

const READY_LIMIT: Duration = Duration::from_secs(60);
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
    /// Starts it with one setting beside the usual ones.
    pub(crate) fn start(
        stage: &Stage,
        database: &Database,
        nats: &NatsServer,
        log: &str,
    ) -> Result<Self> {
        let admin_port = free_port()?;
        let process = Process::command(binary("tiris-ingest")?)
            .arg("run")
            .env("DATABASE_URL", &database.url)
            .env("NATS_URL", nats.url())
            .env("TIRIS_ENV", "dev")
            .env("TIRIS_BARE_SUBJECTS", "refuse")
            .env("TIRIS_LOG", log)
            .env("TIRIS_METRICS", if log == "off" { "off" } else { "on" })
            // History that was made for a measurement must stay.
            .env("TIRIS_LOG_DAYS", "0")
            .env("TIRIS_ADMIN_LISTEN", format!("127.0.0.1:{admin_port}"))
            .log(stage.log("ingest"))
            .show_log(false)
            .spawn()?;
        Ok(Self {
            process,
            admin_port,
        })
    }

    pub(crate) fn health(&self) -> String {
        format!("http://127.0.0.1:{}/health/ready", self.admin_port)
    }

    pub(crate) async fn ready(&mut self) -> Result<()> {
        let url = self.health();
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
        let client = reqwest::Client::builder()
            .timeout(READY_LIMIT)
            .no_proxy()
            .build()?;
        let text = client.get(url).send().await?.text().await?;
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
    worker.ready().await?;
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
    let (begun, mut moved, mut done, mut connections) = (Instant::now(), Instant::now(), before, 0);
    let mut course = vec![(0, 0)];
    while done < expected {
        tokio::time::sleep(LOOK).await;
        let now = database.events().await?;
        if now > done {
            (done, moved) = (now, Instant::now());
            course.push((u64::try_from(begun.elapsed().as_millis())?, done - before));
        }
        connections = connections.max(open_connections(database).await?);
        let tail = || worker.process.log_tail();
        ensure!(
            moved.elapsed() < STUCK_LIMIT,
            "ingest stands still at {done} of {expected}:\n{}",
            tail()
        );
    }
    ensure!(
        done == expected,
        "{done} events in the books instead of {expected}"
    );
    let time = consuming(database).await?;
    let drained = Drained {
        events: expected - before,
        time,
        batch: worker.batch().await?,
        connections,
        peak_kib: memory::peak_kib(worker.process.pid()),
        course,
    };
    worker.stop().await?;
    Ok(drained)
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
