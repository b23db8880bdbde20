//! Why PostgreSQL gives no connection. The driver repeats some refusals until its time limit, and then reports only that.

use crate::explain;
use crate::health::CheckResult;
use sqlx::postgres::{PgConnectOptions, PgPool};
use sqlx::{ConnectOptions, Connection};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tokio::time::timeout;

/// How long a refusal explains later timeouts.
const RECENT: Duration = Duration::from_secs(10);
/// The limit of a connection that only shows why others fail.
const ATTEMPT_LIMIT: Duration = Duration::from_secs(1);
/// The shortest time between two such connections of a pool.
const ATTEMPT_INTERVAL: Duration = Duration::from_secs(5);
/// The limit of the health check, which leaves time to find the reason.
const CHECK_LIMIT: Duration = Duration::from_secs(3);

/// The last refusal.
static LAST: Mutex<Option<(Instant, String)>> = Mutex::new(None);
/// Notified when a pool gave no connection in time.
static TIMED_OUT: Notify = Notify::const_new();

/// No connection within the time limit, with the reason.
#[derive(Debug, thiserror::Error)]
#[error("no connection to the database: {0}")]
pub struct Unreachable(pub String);

fn last() -> MutexGuard<'static, Option<(Instant, String)>> {
    LAST.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Records why a connection is refused.
pub(super) fn note(why: &str) {
    *last() = Some((Instant::now(), why.to_owned()));
}

fn recent() -> Option<String> {
    let last = last();
    let recent = last.as_ref().filter(|(at, _)| at.elapsed() < RECENT);
    recent.map(|(_, why)| why.clone())
}

/// Returns why a pool gave no connection in time, if that is known; otherwise the pools find out and log it.
#[must_use]
pub fn reason_of_timeout() -> Option<Unreachable> {
    TIMED_OUT.notify_waiters();
    recent().map(Unreachable)
}

/// Connects once after a timeout of any pool, and logs the refusal.
pub(super) fn watch(pool: &PgPool, application_name: &str) {
    let options = pool.connect_options();
    let name = application_name.to_owned();
    let mut closed = pool.close_event();
    // Without a handle to the pool, which would keep it open.
    tokio::spawn(async move {
        let watching = async {
            loop {
                TIMED_OUT.notified().await;
                if let Some(why) = attempt(&options).await {
                    tracing::error!(pool = name, why, "PostgreSQL gives no connection");
                }
                tokio::time::sleep(ATTEMPT_INTERVAL).await;
            }
        };
        closed.do_until(watching).await.ok();
    });
}

/// Returns why a connection is refused now; `None` when it is not.
async fn attempt(options: &Arc<PgConnectOptions>) -> Option<String> {
    let why = match timeout(ATTEMPT_LIMIT, options.connect()).await {
        Ok(Ok(connection)) => {
            connection.close().await.ok();
            return None;
        }
        Ok(Err(sqlx::Error::Database(error))) => {
            let code = error.code().unwrap_or_default();
            format!("{} (SQLSTATE {code})", error.message())
        }
        Ok(Err(error)) => explain(&error),
        Err(_) => format!("no answer within {} s", ATTEMPT_LIMIT.as_secs()),
    };
    note(&why);
    Some(why)
}

/// Returns the outcome of `checked`, a check of the database of `pool`, with the reason when there is no connection.
pub async fn check<E: std::error::Error>(
    pool: &PgPool,
    checked: impl Future<Output = Result<(), E>>,
) -> CheckResult {
    let failure = match timeout(CHECK_LIMIT, checked).await {
        Ok(Ok(())) => return Ok("reachable and migrated".to_owned()),
        Ok(Err(error)) => explain(&error),
        Err(_) => format!("no answer within {} s", CHECK_LIMIT.as_secs()),
    };

    let reason = match recent() {
        Some(reason) => Some(reason),
        None => attempt(&pool.connect_options()).await,
    };
    let reason = reason.filter(|reason| !failure.contains(reason.as_str()));
    Err(reason.map_or_else(|| failure.clone(), |reason| format!("{failure}: {reason}")))
}
