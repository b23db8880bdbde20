//! The measured ingest worker: its start, its metrics, and the time it takes to empty a stream.

use crate::figure::per_second;
use crate::stage::{Database, Stage};
use anyhow::{Context, Result, ensure};
use std::ops::Range;
use std::time::{Duration, Instant};
use tiris_testing::{NatsServer, local_http_client};
use tiris_tools::{READY_LIMIT, Service, Stall, booked_events, count_rows, memory_kib};

const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// The events that wait in a stream.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Backlog {
    pub(crate) events: u64,
    /// The number of postings that they become.
    pub(crate) postings: u64,
}

/// The measurements of a worker that emptied a stream.
#[derive(Clone, Debug, Default)]
pub(crate) struct Drained {
    pub(crate) events: u64,
    /// The time from the start of consuming to the last commit, by the clock of PostgreSQL.
    pub(crate) time: Duration,
    /// The mean number of events of a transaction.
    pub(crate) batch: u64,
    /// The maximum number of connections to PostgreSQL.
    pub(crate) connections: u64,
    /// The peak of resident memory.
    pub(crate) peak_kib: Option<u64>,
    /// The number of committed postings after so many milliseconds.
    pub(crate) course: Vec<(u64, u64)>,
}

impl Drained {
    pub(crate) fn rate(&self) -> u64 {
        per_second(self.events, self.time)
    }
}

/// Starts a worker without waiting until it is ready.
pub(crate) fn launch(
    stage: &Stage,
    database: &Database,
    nats: &NatsServer,
    log: &str,
) -> Result<Service> {
    Service::launch("tiris-ingest", "run", &database.url, |command| {
        stage
            .logging(command, log, "ingest")
            .env("NATS_URL", nats.url())
            .env("TIRIS_BARE_SUBJECTS", "refuse")
            // Upkeep must not delete history that was generated for a measurement.
            .env("TIRIS_LOG_DAYS", "0")
            // A backlog of few users is measured, not their quota.
            .env("TIRIS_USER_EVENTS_PER_MINUTE", "0")
            .env("TIRIS_USER_BYTES_PER_MINUTE", "0")
    })
}

/// Starts a worker and waits until the backlog is in the books.
pub(crate) async fn drain(
    stage: &Stage,
    database: &Database,
    nats: &NatsServer,
    backlog: Backlog,
    log: &str,
) -> Result<Drained> {
    let before = booked_events(&database.pool).await?;
    let mut worker = launch(stage, database, nats, log)?;
    let mut drained = Drained {
        events: backlog.events,
        course: vec![(0, 0)],
        ..Drained::default()
    };

    follow(
        &worker,
        database,
        before..before + backlog.postings,
        &mut drained,
    )
    .await?;
    drained.time = consuming_time(database).await?;
    drained.batch = mean_batch(&worker).await?;
    drained.peak_kib = memory_kib(worker.process.pid(), "VmHWM");
    worker.stop().await?;
    Ok(drained)
}

/// Polls until the number of postings in the books has reached the end of a range.
async fn follow(
    worker: &Service,
    database: &Database,
    postings: Range<u64>,
    drained: &mut Drained,
) -> Result<()> {
    let expected = postings.end - postings.start;
    let begun = Instant::now();
    let mut stall = Stall::default();
    let mut done = 0;

    while done < expected {
        tokio::time::sleep(POLL_INTERVAL).await;
        let now = booked_events(&database.pool).await? - postings.start;
        if now > done {
            done = now;
            let millis = u64::try_from(begun.elapsed().as_millis())?;
            drained.course.push((millis, done));
        }
        let sessions = "pg_stat_activity WHERE application_name = 'tiris-ingest' AND datname = current_database()";
        let connections = count_rows(&database.pool, sessions).await?;
        drained.connections = drained.connections.max(connections);

        stall
            .check(done)
            .with_context(|| worker.process.log_tail())?;
    }
    ensure!(
        done == expected,
        "{done} postings in the books instead of {expected}"
    );
    Ok(())
}

/// Returns the mean number of events of a batch, from the worker's metrics.
async fn mean_batch(worker: &Service) -> Result<u64> {
    let request = local_http_client(READY_LIMIT)?.get(worker.metrics_url());
    let text = request.send().await?.text().await?;
    let total = |name: &str| -> u64 {
        let lines = text.lines().filter(|line| line.starts_with(name));
        lines
            .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
            .sum()
    };

    let batches = total("ingest_batch_size_count");
    Ok(total("ingest_batch_size_sum")
        .checked_div(batches)
        .unwrap_or(0))
}

/// Returns the time from the registration of the running worker to the last commit of a balance.
async fn consuming_time(database: &Database) -> Result<Duration> {
    let micros: Option<i64> = sqlx::query_scalar(
        "SELECT (extract(epoch FROM (SELECT max(pg_xact_commit_timestamp(xmin)) FROM sub_accounts WHERE sequence > 0) \
                 - (SELECT max(started_at) FROM ingest_workers)) * 1000000)::bigint",
    )
    .fetch_one(&database.pool)
    .await?;
    let micros = u64::try_from(micros.context("no worker, or no commit")?)?;
    Ok(Duration::from_micros(micros))
}
