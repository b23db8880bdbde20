//! Stops a worker inside a transaction, between the lock of the lane's row and the commit, and measures how long that row
//! stays locked.
//!
//! A lock on the accounts of a busy user makes the worker of the user's lane wait while it holds the lane's row. Stopped
//! there, it must lose its session after half a lease, so that another worker can take the lane.

use super::deck::Fault;
use crate::run::Run;
use crate::system::worker::{Held, LEASE};
use anyhow::{Context, Result};
use async_nats::jetstream;
use nix::sys::signal::Signal;
use sqlx::{Connection, PgConnection};
use std::sync::Arc;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// The longest wait for a worker at the locked accounts, shorter than its own lock timeout.
const CATCH_LIMIT: Duration = Duration::from_secs(2);
/// The delay a loaded machine may add to half a lease.
const MARGIN: Duration = Duration::from_secs(2);
const POLL_INTERVAL: Duration = Duration::from_millis(20);
/// The longest wait for a takeover after the end of the lease.
const TAKEOVER_LIMIT: Duration = Duration::from_secs(3);
const STREAM: &str = "TRADING";

const MISSED: &str = "no worker to stop in a transaction";

pub(super) async fn stop_inside(run: Arc<Run>, fault: Fault) -> Result<()> {
    // While these are held, other faults cannot stop a server.
    let _postgres = run.system.postgres.lock().await;
    let _nats = run.system.nats.lock().await;
    let Ok(lane) = lane_of(&run, fault.user).await else {
        run.note(MISSED, "the user has no message yet");
        return Ok(());
    };

    let mut blocker = PgConnection::connect(&run.system.database_url).await?;
    let mut watcher = PgConnection::connect(&run.system.database_url).await?;
    let own: i32 = sqlx::query_scalar("SELECT pg_backend_pid()")
        .fetch_one(&mut blocker)
        .await?;
    let mut lock = blocker.begin().await?;
    sqlx::query("SELECT FROM sub_accounts WHERE user_id = $1 ORDER BY id FOR UPDATE")
        .bind(fault.user)
        .fetch_all(&mut *lock)
        .await?;
    let Some(mut held) = catch(&run, &mut watcher, own).await? else {
        lock.rollback().await?;
        run.note(MISSED, "no worker waited for the lock");
        return Ok(());
    };

    held.service.process.signal(Signal::SIGSTOP)?;
    lock.rollback().await?;
    let released = Instant::now();
    run.note(
        "worker stopped inside a transaction",
        &format!("worker {}, lane {lane}", held.worker.slot),
    );
    let watched = watch(&run, &mut watcher, lane, released).await;
    held.service.process.signal(Signal::SIGCONT)?;
    watched
}

/// Returns the lane of a user, from the subject of the user's last message.
async fn lane_of(run: &Run, user: Uuid) -> Result<i32> {
    let client = async_nats::connect(&run.system.nats_url).await?;
    let stream = jetstream::new(client).get_stream(STREAM).await?;
    let message = stream
        .get_last_raw_message_by_subject(&format!("trading.*.*.*.{user}"))
        .await?;
    let lane = message.subject.split('.').nth(3);
    Ok(lane.context("a lane in the subject")?.parse()?)
}

/// Holds the worker that waits for a lock of session `blocker` while it has locked a lane's row.
async fn catch(run: &Run, watcher: &mut PgConnection, blocker: i32) -> Result<Option<Held>> {
    let end = Instant::now() + CATCH_LIMIT;
    while Instant::now() < end {
        let ports: Vec<i32> = sqlx::query_scalar(
            "SELECT a.client_port FROM pg_stat_activity a WHERE a.application_name = 'tiris-ingest' \
             AND a.wait_event_type = 'Lock' AND $1 = ANY(pg_blocking_pids(a.pid)) AND a.client_port > 0 \
             AND EXISTS (SELECT FROM pg_locks l WHERE l.pid = a.pid AND l.granted AND l.mode = 'RowShareLock' \
                         AND l.relation = 'ingest_lanes'::regclass)",
        )
        .bind(blocker)
        .fetch_all(&mut *watcher)
        .await?;

        for port in ports {
            let port = u16::try_from(port)?;
            let mut workers = run.system.workers.iter();
            let worker = workers.find(|worker| worker.postgres.has_port(port));
            if let Some(held) = worker.and_then(|worker| worker.try_hold()) {
                return Ok(Some(held));
            }
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
    Ok(None)
}

/// Waits until the row of the lane can be locked, then until another worker has taken the lane.
async fn watch(run: &Run, watcher: &mut PgConnection, lane: i32, released: Instant) -> Result<()> {
    let (epoch, left) = lease(watcher, lane).await?;
    let lease_end = Instant::now() + left;
    let limit = lease_end.max(released) + LEASE / 2 + MARGIN;

    while !is_free(watcher, lane).await? {
        if Instant::now() > limit {
            run.wrong("the row of a lane stayed locked by a stopped worker");
            break;
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
    let locked = released.elapsed();

    while Instant::now() < lease_end + TAKEOVER_LIMIT {
        if lease(watcher, lane).await?.0 != epoch {
            let taken = released.elapsed();
            run.note(
                "lane of a worker stopped inside a transaction taken over",
                &format!("lane {lane}, row free after {locked:?}, taken after {taken:?}"),
            );
            return Ok(());
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
    Ok(())
}

/// Returns the epoch of a lane and the rest of its lease.
async fn lease(watcher: &mut PgConnection, lane: i32) -> Result<(i64, Duration)> {
    let (epoch, left): (i64, f64) = sqlx::query_as(
        "SELECT epoch, greatest(extract(epoch FROM lease_until - clock_timestamp()), 0)::float8 \
         FROM ingest_lanes WHERE stream = $1 AND lane = $2",
    )
    .bind(STREAM)
    .bind(lane)
    .fetch_one(watcher)
    .await?;
    Ok((epoch, Duration::from_secs_f64(left)))
}

/// Returns whether the row of the lane can be locked; the lock ends with the statement.
async fn is_free(watcher: &mut PgConnection, lane: i32) -> Result<bool> {
    let found = sqlx::query(
        "SELECT FROM ingest_lanes WHERE stream = $1 AND lane = $2 FOR NO KEY UPDATE SKIP LOCKED",
    )
    .bind(STREAM)
    .bind(lane)
    .fetch_optional(watcher)
    .await?;
    Ok(found.is_some())
}
