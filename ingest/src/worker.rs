//! The worker: waits for its parts, declares the streams, and holds its share of the lanes until it is stopped.

use crate::connection::Connection;
use crate::context::Context;
use crate::dead_letters;
use crate::lanes::LaneManager;
use crate::replay::Replayer;
use crate::settings::Settings;
use crate::status::{Board, gauges};
use crate::stream::{self, DeclareError};
use crate::upkeep::{census, maintenance, purge};
use anyhow::Context as _;
use sqlx::PgPool;
use std::time::Duration;
use tiris_runtime::admin;
use tiris_runtime::health::{self, Health};
use tiris_runtime::{database, metrics, telemetry};
use tiris_store::error::{Error, Result};
use tiris_store::partitions;
use tiris_store::workers::Worker;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// While a part is down at start, it is asked again in this rhythm.
const START_RETRY: Duration = Duration::from_secs(1);
/// How often an idle lane moves its cursor.
const IDLE_MOVE_INTERVAL: Duration = Duration::from_secs(60);

/// Runs until `stop`; then finishes the batches under way and gives the lanes back.
///
/// # Errors
/// When the streams disagree with the settings, or when the admin address cannot be bound. A part that is down is
/// waited for.
pub async fn run(settings: Settings, stop: CancellationToken) -> anyhow::Result<()> {
    let telemetry = telemetry::init_service("tiris-ingest", &settings.service)?;
    let metrics = metrics::install("tiris-ingest", settings.service.metrics)?;
    // A worker stopped inside a transaction blocks the others for half a lease at most.
    let pool = database::pool_with(&settings.database, "tiris-ingest", settings.lease / 2)?;
    let connection = Connection::open(&settings.nats).await?;
    let board = Board::default();
    let health = health(&pool, &connection, &board);
    metrics.watch("primary", &pool);
    gauges::begin(settings.streams.lanes);
    tokio::spawn(drain_on_stop(health.clone(), stop.clone()));

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
        stream_replicas: settings.streams.replicas,
        bare_subjects: settings.bare_subjects,
        batch_events: settings.batch_events,
        lease: settings.lease,
        idle_move: IDLE_MOVE_INTERVAL,
        policy: settings.policy,
        board,
    };
    let mut lanes = LaneManager::new(context.clone(), worker_of(&context));
    let result = run_lanes(&settings, &context, &mut lanes, &stop).await;

    leave(&settings, &lanes).await;
    listener_stop.cancel();
    tracing::info!("stopped");
    telemetry.flush().await;
    result
}

async fn drain_on_stop(health: Health, stop: CancellationToken) {
    stop.cancelled().await;
    health.drain();
}

fn health(pool: &PgPool, connection: &Connection, board: &Board) -> Health {
    let pool = pool.clone();
    let connection = connection.clone();
    let board = board.clone();

    Health::default()
        .with("database", move || {
            let pool = pool.clone();
            async move { health::of_database(tiris_store::schema::check_ready(&pool).await) }
        })
        .with("nats", move || {
            let connected = connection.is_connected();
            async move {
                if connected {
                    Ok("connected".to_owned())
                } else {
                    Err("not connected".to_owned())
                }
            }
        })
        .with("lanes", move || {
            let state = board.check();
            async move { state }
        })
}

fn worker_of(context: &Context) -> Worker {
    let host = nix::unistd::gethostname()
        .ok()
        .and_then(|name| name.into_string().ok());
    Worker {
        id: tiris_domain::ids::new_id(),
        owner: context.owner,
        version: env!("CARGO_PKG_VERSION"),
        host: host.unwrap_or_default(),
    }
}

async fn run_lanes(
    settings: &Settings,
    context: &Context,
    lanes: &mut LaneManager,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    match prepare(settings, context, lanes, stop).await {
        Some(prepared) => prepared?,
        None => return Ok(()),
    }

    let running = stop.child_token();
    let mut beside = JoinSet::new();
    let kept = settings.retention;
    beside.spawn(maintenance::run(context.clone(), kept, running.clone()));
    beside.spawn(dead_letters::run(context.clone(), running.clone()));
    beside.spawn(census::run(context.pool.clone(), running.clone()));
    beside.spawn(purge::run(context.pool.clone(), running.clone()));
    beside.spawn(Replayer::new(context.clone()).run(running.clone()));
    // Some of the time is left to give the lanes back. A batch that is cut off is rolled back or done; the next owner
    // sees which.
    let limit = settings.service.shutdown_timeout * 2 / 3;
    let result = lanes.run(stop, limit).await;

    running.cancel();
    while let Some(ended) = beside.join_next().await {
        ended.context("a task beside the lanes failed unexpectedly")?;
    }
    result
}

/// Waits for everything the lanes need; none when the worker is stopped before.
async fn prepare(
    settings: &Settings,
    context: &Context,
    lanes: &LaneManager,
    stop: &CancellationToken,
) -> Option<Result<(), DeclareError>> {
    let pool = &context.pool;
    wait_for("the database", stop, || {
        tiris_store::schema::check_ready(pool)
    })
    .await?;
    let months = settings.retention.partition_months;
    wait_for("the database", stop, || partitions::ensure(pool, months)).await?;
    let declared = wait_for("the streams", stop, || async {
        match stream::declare(&context.connection.jetstream, &settings.streams).await {
            Ok(()) => Ok(Ok(())),
            Err(DeclareError::Unavailable(error)) => Err(error),
            Err(disagrees @ DeclareError::Disagrees { .. }) => Ok(Err(disagrees)),
        }
    });
    if let Err(disagrees) = declared.await? {
        return Some(Err(disagrees));
    }

    wait_for("the lanes", stop, || lanes.prepare())
        .await
        .map(Ok)
}

/// Tries until it works; none when stopped before.
async fn wait_for<T, F: Future<Output = Result<T>>>(
    what: &str,
    stop: &CancellationToken,
    attempt: impl Fn() -> F,
) -> Option<T> {
    loop {
        let error: Error = tokio::select! {
            () = stop.cancelled() => return None,
            result = attempt() => match result {
                Ok(value) => return Some(value),
                Err(error) => error,
            },
        };
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            "waiting for {what}"
        );
        tokio::select! {
            () = stop.cancelled() => return None,
            () = tokio::time::sleep(START_RETRY) => {}
        }
    }
}

async fn leave(settings: &Settings, lanes: &LaneManager) {
    // The other two thirds are the lanes'.
    match tokio::time::timeout(settings.service.shutdown_timeout / 3, lanes.leave()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "could not give the lanes back"
            );
        }
        Err(_) => tracing::warn!("giving the lanes back took too long"),
    }
}
