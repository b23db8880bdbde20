//! The worker: waits for its parts, declares the streams, and holds its share of the lanes until it is told to stop.

use crate::connection::Connection;
use crate::context::Context;
use crate::crew::Crew;
use crate::replay::Replayer;
use crate::settings::Settings;
use crate::status::{self, Board};
use crate::stream::{self, DeclareError};
use crate::{census, dead_letter_stream, maintenance, purge};
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
    // A worker stopped inside a transaction blocks nobody for longer than half a lease.
    let pool = database::pool_with(&settings.database, "tiris-ingest", settings.lease / 2)?;
    let connection = Connection::open(&settings.nats).await?;
    let board = Board::default();
    let health = health(&pool, &connection, &board);
    metrics.watch("primary", &pool);
    status::begin(settings.streams.lanes);
    let stopping = (health.clone(), stop.clone());
    tokio::spawn(async move {
        let (health, stop) = stopping;
        stop.cancelled().await;
        health.drain();
    });
    let listener_stop = CancellationToken::new();
    let address = admin::serve(
        settings.service.admin_listen,
        health,
        metrics,
        listener_stop.clone(),
    )
    .await
    .with_context(|| {
        format!(
            "cannot listen on {} (TIRIS_ADMIN_LISTEN)",
            settings.service.admin_listen
        )
    })?;
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
    let mut crew = Crew::new(context.clone(), myself(&context));
    let result = run_lanes(&settings, &context, &mut crew, &stop).await;
    leave(&settings, &crew).await;
    listener_stop.cancel();
    tracing::info!("stopped");
    telemetry.flush().await;
    result
}

fn health(pool: &PgPool, connection: &Connection, board: &Board) -> Health {
    let (pool, connection, board) = (pool.clone(), connection.clone(), board.clone());
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

fn myself(context: &Context) -> Worker {
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
    crew: &mut Crew,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let Some(()) = wait_for("the database", stop, || {
        tiris_store::schema::check_ready(&context.pool)
    })
    .await
    else {
        return Ok(());
    };
    let months_ahead = settings.retention.partition_months;
    let Some(_) = wait_for("the database", stop, || {
        partitions::ensure(&context.pool, months_ahead)
    })
    .await
    else {
        return Ok(());
    };
    let declared = wait_for("the streams", stop, || async {
        match stream::declare(&context.connection.jetstream, &settings.streams).await {
            Ok(()) => Ok(Ok(())),
            Err(DeclareError::Unavailable(error)) => Err(error),
            Err(disagrees @ DeclareError::Disagrees { .. }) => Ok(Err(disagrees)),
        }
    });
    match declared.await {
        Some(declared) => declared?,
        None => return Ok(()),
    }
    let Some(()) = wait_for("the lanes", stop, || crew.prepare()).await else {
        return Ok(());
    };
    let running = stop.child_token();
    let mut beside = JoinSet::new();
    beside.spawn(maintenance::run(
        context.clone(),
        settings.retention,
        running.clone(),
    ));
    beside.spawn(dead_letter_stream::run(context.clone(), running.clone()));
    beside.spawn(census::run(context.pool.clone(), running.clone()));
    beside.spawn(purge::run(context.pool.clone(), running.clone()));
    beside.spawn(Replayer::new(context.clone()).run(running.clone()));
    // Some of the time is left to give the lanes back. A batch that is cut off is rolled back or done; the next owner
    // sees which.
    let result = crew
        .run(stop, settings.service.shutdown_timeout * 2 / 3)
        .await;
    running.cancel();
    while let Some(ended) = beside.join_next().await {
        ended.context("a task beside the lanes failed unexpectedly")?;
    }
    result
}

/// Tries until it works; none when told to stop before.
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

async fn leave(settings: &Settings, crew: &Crew) {
    // The other two thirds are the lanes'.
    match tokio::time::timeout(settings.service.shutdown_timeout / 3, crew.leave()).await {
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
