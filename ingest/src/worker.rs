//! The worker process: waits for NATS and the database, declares the streams, and runs its share of the lanes until it is
//! stopped.

use crate::connection::Connection;
use crate::context::{Context, DetourSwitch};
use crate::dead_letters;
use crate::lanes::LaneManager;
use crate::replay::Replayer;
use crate::settings::Settings;
use crate::status::{Board, gauges};
use crate::stream::{self, DeclareError};
use crate::upkeep::{census, expiry, maintenance, purge, sampling, usage};
use anyhow::Context as _;
use sqlx::PgPool;
use std::future::ready;
use std::time::Duration;
use tiris_runtime::admin;
use tiris_runtime::health::Health;
use tiris_runtime::{database, metrics, telemetry};
use tiris_store::error::Result;
use tiris_store::partitions;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// How often a failed step of the start is retried.
const START_RETRY: Duration = Duration::from_secs(1);
/// How often an idle lane moves its cursor.
const IDLE_MOVE_INTERVAL: Duration = Duration::from_secs(60);

/// Runs until `stop`; then finishes the current batches and gives the lanes back. Waits while NATS or the database is down.
///
/// # Errors
/// The streams disagree with the settings, the admin address cannot be bound, or a task panicked.
pub(crate) async fn run(settings: Settings, stop: CancellationToken) -> anyhow::Result<()> {
    let telemetry = telemetry::init_service("tiris-ingest", &settings.service)?;
    let metrics = metrics::install("tiris-ingest", settings.service.metrics)?;
    // A worker that is suspended in a transaction blocks the others for at most half a lease.
    let pool = database::pool_with(&settings.database, "tiris-ingest", settings.lease / 2)?;
    let connection = Connection::open(&settings.nats).await?;
    let board = Board::default();
    let health = health(pool.clone(), connection.clone(), board.clone());
    metrics.watch("primary", &pool);
    gauges::begin(settings.streams.lanes);
    let draining = health.clone();
    let stopped = stop.clone().cancelled_owned();
    tokio::spawn(async move {
        stopped.await;
        draining.drain();
    });

    let listener_stop = CancellationToken::new();
    let listen = settings.service.admin_listen;
    let address = admin::serve(listen, health, metrics, listener_stop.clone())
        .await
        .with_context(|| format!("cannot listen on {listen} (TIRIS_ADMIN_LISTEN)"))?;
    tracing::info!(admin = %address, lanes = settings.streams.lanes, version = env!("CARGO_PKG_VERSION"), "starting");

    let context = Context {
        pool,
        connection,
        owner: Uuid::new_v4(),
        lanes: settings.streams.lanes,
        stream_limits: settings.streams.limits.clone(),
        bare_subjects: settings.bare_subjects,
        batch_events: settings.batch_events,
        quota: settings.quota,
        detours: DetourSwitch::default(),
        lease: settings.lease,
        idle_move: IDLE_MOVE_INTERVAL,
        policy: settings.policy,
        board,
    };
    let mut lanes = LaneManager::new(context.clone());
    let result = run_lanes(&settings, &context, &mut lanes, &stop).await;

    // The other two thirds of the time are for the current batches.
    lanes.leave(settings.service.shutdown_timeout / 3).await;
    listener_stop.cancel();
    tracing::info!("stopped");
    telemetry.flush().await;
    result
}

fn health(pool: PgPool, connection: Connection, board: Board) -> Health {
    Health::default()
        .with("database", move || {
            let pool = pool.clone();
            async move { database::check(&pool, tiris_store::schema::check_ready(&pool)).await }
        })
        .with("nats", move || {
            ready(if connection.is_connected() {
                Ok("connected".to_owned())
            } else {
                Err("not connected".to_owned())
            })
        })
        .with("lanes", move || ready(board.check()))
}

async fn run_lanes(
    settings: &Settings,
    context: &Context,
    lanes: &mut LaneManager,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let preparing = prepare(settings, context, lanes);
    match stop.run_until_cancelled(preparing).await {
        Some(prepared) => prepared?,
        None => return Ok(()),
    }

    let mut tasks = JoinSet::new();
    // They end at once, because a replay locks rows that the last batches of the lanes need.
    let until_stop = || stop.clone();
    tasks.spawn(
        until_stop()
            .run_until_cancelled_owned(maintenance::run(context.clone(), settings.retention)),
    );
    tasks.spawn(until_stop().run_until_cancelled_owned(sampling::run(context.clone())));
    tasks.spawn(until_stop().run_until_cancelled_owned(usage::run(context.connection.clone())));
    tasks.spawn(until_stop().run_until_cancelled_owned(dead_letters::run(context.clone())));
    tasks.spawn(until_stop().run_until_cancelled_owned(census::run(context.pool.clone())));
    tasks.spawn(until_stop().run_until_cancelled_owned(purge::run(context.pool.clone())));
    let expiry = expiry::run(context.pool.clone(), context.connection.clone());
    tasks.spawn(until_stop().run_until_cancelled_owned(expiry));
    tasks.spawn(until_stop().run_until_cancelled_owned(Replayer::new(context.clone()).run()));

    // The rest of the time is for giving the lanes back. A batch that is cut off is rolled back or committed; the next owner
    // finds out which.
    let limit = settings.service.shutdown_timeout * 2 / 3;
    let result = lanes.run(stop, limit).await;

    tasks.abort_all();
    while let Some(ended) = tasks.join_next().await {
        if let Err(error) = ended
            && error.is_panic()
        {
            return Err(error).context("a background task panicked");
        }
    }
    result
}

/// Waits until the lanes have everything that they need.
async fn prepare(
    settings: &Settings,
    context: &Context,
    lanes: &LaneManager,
) -> Result<(), DeclareError> {
    let pool = &context.pool;
    let months = settings.retention.partition_months;
    retry("the database", || tiris_store::schema::check_ready(pool)).await;
    retry("the database", || partitions::ensure(pool, months)).await;

    retry("the streams", || async {
        match stream::declare(pool, &context.connection, &settings.streams).await {
            Err(DeclareError::Unavailable(error)) => Err(error),
            declared => Ok(declared),
        }
    })
    .await?;
    retry("the lanes", || lanes.prepare()).await;
    Ok(())
}

/// Repeats `attempt` until it succeeds.
async fn retry<T, F: Future<Output = Result<T>>>(what: &str, attempt: impl Fn() -> F) -> T {
    loop {
        match attempt().await {
            Ok(value) => return value,
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "waiting for {what}");
            }
        }
        tokio::time::sleep(START_RETRY).await;
    }
}
