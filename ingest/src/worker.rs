//! The worker: waits for its parts, declares the streams, takes the lanes and runs them until it is told to stop.

use crate::connection::Connection;
use crate::context::Context;
use crate::lane::{Lane, describe};
use crate::reader::LaneId;
use crate::settings::Settings;
use crate::status::Board;
use crate::stream::{self, DeclareError, EventStream};
use anyhow::Context as _;
use sqlx::PgPool;
use std::time::Duration;
use tiris_shared::admin::{self, Readiness};
use tiris_shared::error::{Error, Result};
use tiris_shared::store::{lanes, partitions};
use tiris_shared::{database, metrics, telemetry};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// While a part is down at start, it is asked again in this rhythm.
const START_RETRY: Duration = Duration::from_secs(1);
/// How often the partitions of the coming months are made, and how soon again when that failed.
const PARTITIONS_INTERVAL: Duration = Duration::from_secs(60 * 60);
const PARTITIONS_RETRY: Duration = Duration::from_secs(60);

/// Runs until `stop`; then finishes the batches under way and gives the lanes back.
///
/// # Errors
/// When the streams disagree with the settings, when another worker takes the lanes, or when the admin address cannot
/// be bound. A part that is down is waited for.
pub async fn run(settings: Settings, stop: CancellationToken) -> anyhow::Result<()> {
    telemetry::init("tiris-ingest", &settings.service.log);
    let metrics = metrics::install()?;
    let pool = database::pool(&settings.database, "tiris-ingest")?;
    let connection = Connection::open(&settings.nats).await?;
    let board = Board::default();
    let readiness = readiness(&pool, &connection, &board);
    let listener_stop = CancellationToken::new();
    let address = admin::serve(settings.service.admin_listen, readiness, metrics, listener_stop.clone())
        .await
        .with_context(|| {
            format!("cannot listen on {} (TIRIS_ADMIN_LISTEN)", settings.service.admin_listen)
        })?;
    tracing::info!(admin = %address, lanes = settings.streams.lanes, version = env!("CARGO_PKG_VERSION"), "starting");
    let context = Context {
        pool,
        connection,
        owner: Uuid::new_v4(),
        lanes: settings.streams.lanes,
        bare_subjects: settings.bare_subjects,
        batch_events: settings.batch_events,
        board,
    };
    let result = run_lanes(&settings, &context, &stop).await;
    release(&settings, &context).await;
    listener_stop.cancel();
    tracing::info!("stopped");
    result
}

fn readiness(pool: &PgPool, connection: &Connection, board: &Board) -> Readiness {
    let (pool, connection, board) = (pool.clone(), connection.clone(), board.clone());
    Readiness::default()
        .with("database", move || {
            let pool = pool.clone();
            async move {
                let checked = database::check_ready(&pool).await;
                checked
                    .map(|()| "migrations are current".to_owned())
                    .map_err(|error| describe(&error))
            }
        })
        .with("nats", move || {
            let connected = connection.is_connected();
            async move { if connected { Ok("connected".to_owned()) } else { Err("not connected".to_owned()) } }
        })
        .with("lanes", move || {
            let state = board.check();
            async move { state }
        })
}

async fn run_lanes(settings: &Settings, context: &Context, stop: &CancellationToken) -> anyhow::Result<()> {
    let Some(()) = wait_for("the database", stop, || database::check_ready(&context.pool)).await else {
        return Ok(());
    };
    let Some(_) = wait_for("the database", stop, || partitions::ensure(&context.pool)).await else {
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
    let mut tasks = JoinSet::new();
    // Cancelled when any lane is lost, so that the others finish their batches before the process ends.
    let running = stop.child_token();
    for stream in EventStream::ALL {
        for lane in 0..=settings.streams.lanes {
            let id = LaneId { stream, lane };
            let taken = wait_for("a lane", stop, || Lane::take(context.clone(), id)).await;
            let Some(lane) = taken else { continue };
            tasks.spawn(lane.run(running.clone()));
        }
    }
    let upkeep = tokio::spawn(keep_partitions(context.pool.clone(), running.clone()));
    let lost = end_lanes(&mut tasks, &running, settings.service.shutdown_timeout).await;
    running.cancel();
    upkeep.await.context("the upkeep of the partitions failed unexpectedly")?;
    let lost = lost?;
    anyhow::ensure!(!lost, "another worker took the lanes over; only one may run at a time");
    Ok(())
}

/// Waits for the end of every lane; answers whether one was lost, which ends the others as well. Once `running` is
/// cancelled they have two thirds of `limit`, so that some is left to give the lanes back; a batch that is cut off
/// then is rolled back or done, and the next owner sees which.
async fn end_lanes(
    tasks: &mut JoinSet<bool>,
    running: &CancellationToken,
    limit: Duration,
) -> anyhow::Result<bool> {
    let cut_off = async {
        running.cancelled().await;
        tokio::time::sleep(limit * 2 / 3).await;
    };
    tokio::pin!(cut_off);
    let mut lost = false;
    loop {
        let ended = tokio::select! {
            ended = tasks.join_next() => ended,
            () = &mut cut_off => {
                tracing::warn!(lanes = tasks.len(), "stopping took too long, cutting off what still runs");
                tasks.shutdown().await;
                return Ok(lost);
            }
        };
        let Some(ended) = ended else { return Ok(lost) };
        if !ended.context("a lane failed unexpectedly")? {
            lost = true;
            running.cancel();
        }
    }
}

/// Makes partitions ahead of time, for a worker may run for longer than those made at its start last.
async fn keep_partitions(pool: PgPool, running: CancellationToken) {
    let mut wait = PARTITIONS_INTERVAL;
    loop {
        tokio::select! {
            () = running.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
        let made = tokio::select! {
            () = running.cancelled() => return,
            made = partitions::ensure(&pool) => made,
        };
        wait = match made {
            Ok(_) => PARTITIONS_INTERVAL,
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "could not make partitions");
                PARTITIONS_RETRY
            }
        };
    }
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
        tracing::warn!(error = &error as &dyn std::error::Error, "waiting for {what}");
        tokio::select! {
            () = stop.cancelled() => return None,
            () = tokio::time::sleep(START_RETRY) => {}
        }
    }
}

async fn release(settings: &Settings, context: &Context) {
    let released = lanes::release_all(&context.pool, context.owner);
    // The other two thirds are the lanes'.
    match tokio::time::timeout(settings.service.shutdown_timeout / 3, released).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "could not give the lanes back")
        }
        Err(_) => tracing::warn!("giving the lanes back took too long"),
    }
}
