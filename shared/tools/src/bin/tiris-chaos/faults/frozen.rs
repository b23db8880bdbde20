//! A worker stopped in the middle of a transaction, between the lock of the lane's row and the commit.
//!
//! Owns: finding that moment, and measuring how long the lane's row stays locked. Must not know: other faults.
//!
//! The moment is made by locking an account of a busy user: the worker of the user's lane waits for it while it holds
//! the lane's row. Stopped there, it must lose its session after half a lease, so that others can take the lane.

use super::deck::Fault;
use super::site::Site;
use crate::system::settings::LEASE;
use crate::system::worker::Held;
use anyhow::{Context, Result};
use async_nats::jetstream;
use nix::sys::signal::Signal;
use sqlx::{Connection, PgConnection};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// How long a worker is waited for that comes to the locked account; shorter than its own limit for locks.
const CATCH_LIMIT: Duration = Duration::from_secs(2);
/// What a loaded machine may add to half a lease.
const MARGIN: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(20);
/// After its lease it stays stopped until somebody has the lane, or for so long.
const TAKEOVER_LIMIT: Duration = Duration::from_secs(3);
const STREAM: &str = "TRADING";

const MISSED: &str = "tried to stop a worker in a transaction, none came";

pub(super) async fn stop_in_transaction(site: Site, fault: Fault) -> Result<()> {
    // As long as these are held, neither server is stopped by another fault.
    let _postgres = site.system.postgres.lock().await;
    let _nats = site.system.nats.lock().await;
    let Ok(lane) = lane_of(&site, fault.user).await else {
        site.note(MISSED, "the user's lane is not known yet");
        return Ok(());
    };

    let mut blocker = PgConnection::connect(&site.system.database_url).await?;
    let mut watcher = PgConnection::connect(&site.system.database_url).await?;
    let own: i32 = sqlx::query_scalar("SELECT pg_backend_pid()")
        .fetch_one(&mut blocker)
        .await?;
    let mut lock = blocker.begin().await?;
    sqlx::query("SELECT FROM sub_accounts WHERE user_id = $1 ORDER BY id FOR UPDATE")
        .bind(fault.user)
        .fetch_all(&mut *lock)
        .await?;
    let Some(mut held) = catch(&site, &mut watcher, own).await? else {
        lock.rollback().await?;
        site.note(MISSED, "nobody came");
        return Ok(());
    };

    held.process().signal(Signal::SIGSTOP)?;
    lock.rollback().await?;
    let released = Instant::now();
    site.note(
        "worker stopped inside a transaction",
        &format!("worker {}, lane {lane}", held.worker.slot()),
    );
    let watched = watch(&site, &mut watcher, lane, released).await;
    held.process().signal(Signal::SIGCONT)?;
    watched
}

/// The lane of orders and balances the user is in, from the subject of one of the user's messages.
async fn lane_of(site: &Site, user: Uuid) -> Result<i32> {
    let client = async_nats::connect(&site.system.nats_url).await?;
    let stream = jetstream::new(client).get_stream(STREAM).await?;
    let message = stream
        .get_last_raw_message_by_subject(&format!("trading.*.*.*.{user}"))
        .await?;
    let lane = message.subject.split('.').nth(3);
    Ok(lane.context("a lane in the subject")?.parse()?)
}

/// The worker that waits for a lock of session `blocker` while it holds a lane's row.
async fn catch(site: &Site, watcher: &mut PgConnection, blocker: i32) -> Result<Option<Held>> {
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
            let mut workers = site.system.workers.iter();
            let worker = workers.find(|worker| worker.postgres().has_port(port));
            if let Some(held) = worker.and_then(|worker| worker.try_hold()) {
                return Ok(Some(held));
            }
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(None)
}

/// Waits until the row of the lane can be locked, then until another worker has the lane.
async fn watch(
    site: &Site,
    watcher: &mut PgConnection,
    lane: i32,
    released: Instant,
) -> Result<()> {
    let (epoch, lease_left): (i64, f64) = sqlx::query_as(
        "SELECT epoch, greatest(extract(epoch FROM lease_until - clock_timestamp()), 0)::float8 \
         FROM ingest_lanes WHERE stream = $1 AND lane = $2",
    )
    .bind(STREAM)
    .bind(lane)
    .fetch_one(&mut *watcher)
    .await?;
    let lease_end = Instant::now() + Duration::from_secs_f64(lease_left);
    let limit = lease_end.max(released) + LEASE / 2 + MARGIN;

    while !is_free(watcher, lane).await? {
        if Instant::now() > limit {
            site.wrong("the row of a lane stayed locked by a stopped worker");
            break;
        }
        tokio::time::sleep(LOOK).await;
    }
    let locked = released.elapsed();

    while Instant::now() < lease_end + TAKEOVER_LIMIT {
        if self::epoch(watcher, lane).await? != epoch {
            let taken = released.elapsed();
            site.note(
                "lane of a worker stopped inside a transaction taken over",
                &format!("lane {lane}, row free after {locked:?}, taken after {taken:?}"),
            );
            return Ok(());
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}

async fn epoch(watcher: &mut PgConnection, lane: i32) -> Result<i64> {
    let epoch =
        sqlx::query_scalar("SELECT epoch FROM ingest_lanes WHERE stream = $1 AND lane = $2")
            .bind(STREAM)
            .bind(lane)
            .fetch_one(watcher)
            .await?;
    Ok(epoch)
}

async fn is_free(watcher: &mut PgConnection, lane: i32) -> Result<bool> {
    let mut look = watcher.begin().await?;
    let found: Option<i32> = sqlx::query_scalar(
        "SELECT lane FROM ingest_lanes WHERE stream = $1 AND lane = $2 FOR NO KEY UPDATE SKIP LOCKED",
    )
    .bind(STREAM)
    .bind(lane)
    .fetch_optional(&mut *look)
    .await?;
    look.rollback().await?;
    Ok(found.is_some())
}
