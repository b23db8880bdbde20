//! Reads histories from the primary database, or from a replica when that surely has the rows and responds.

use crate::entities::Entities;
use chrono::{DateTime, Utc};
use sqlx::PgPool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tiris_runtime::health::CheckResult;
use tiris_store::error::{Error, Result};
use uuid::Uuid;

/// The replica serves only older rows. The ledger commits a row within ten seconds of its time, the replica has all rows
/// older than [`LAG_MAX_SECONDS`], and the rest allows for clock differences.
const SETTLED: Duration = Duration::from_secs(60);
/// Tolerated lag of the replica.
const LAG_MAX_SECONDS: i32 = 20;
/// Time limit of the replica, which leaves time to query the primary instead.
const QUERY_MAX: Duration = Duration::from_secs(3);
/// How long the replica is not used after a failure.
const BACKOFF: Duration = Duration::from_secs(5);

/// Whether the replica has all commits that are older than these seconds. A database that is no standby never lags. An
/// idle standby seems to lag, which is harmless while nothing is written.
const IS_CURRENT: &str = "SELECT NOT pg_is_in_recovery() \
    OR coalesce(pg_last_xact_replay_timestamp() > now() - $1 * interval '1 second', false)";
/// Counts the tradings that exist and are not being deleted.
const LIVING: &str = "SELECT count(*) FROM tradings WHERE id = ANY($1) AND status <> 'deleting'";

/// The databases of histories.
#[derive(Clone)]
pub(crate) struct Histories {
    pool: PgPool,
    lists: Entities,
    replica: Option<Arc<Replica>>,
}

/// The replica of the database.
pub(crate) struct Replica {
    pool: PgPool,
    db: Entities,
    unused_until: Mutex<Option<Instant>>,
}

impl Histories {
    pub(crate) fn new(pool: PgPool, lists: PgPool, replica: Option<Arc<Replica>>) -> Self {
        let lists = Entities::new(lists);
        Self {
            pool,
            lists,
            replica,
        }
    }

    /// Returns the connections for lists, which plan statements for their values.
    pub(crate) fn lists(&self) -> &Entities {
        &self.lists
    }

    /// Returns the replica if it has all rows up to `newest` and responds.
    pub(crate) async fn replica(&self, newest: DateTime<Utc>) -> Option<&Replica> {
        let is_settled = newest < Utc::now() - SETTLED;
        let replica = self.replica.as_deref().filter(|_| is_settled)?;
        replica.is_ready().await.then_some(replica)
    }

    /// Returns whether none of these tradings was deleted in the meantime: their rows must disappear at once.
    pub(crate) async fn are_living(&self, mut tradings: Vec<Uuid>) -> Result<bool> {
        tradings.sort_unstable();
        tradings.dedup();
        let living: i64 = sqlx::query_scalar(LIVING)
            .bind(&tradings)
            .fetch_one(&self.pool)
            .await?;
        Ok(usize::try_from(living) == Ok(tradings.len()))
    }
}

impl Replica {
    pub(crate) fn new(pool: PgPool) -> Self {
        let db = Entities::new(pool.clone());
        Self {
            pool,
            db,
            unused_until: Mutex::new(None),
        }
    }

    pub(crate) fn db(&self) -> &Entities {
        &self.db
    }

    pub(crate) fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Runs a query with a time limit; `None` when it fails, so that the primary is used instead.
    pub(crate) async fn query<T>(&self, query: impl Future<Output = Result<T>>) -> Option<T> {
        let result = tokio::time::timeout(QUERY_MAX, query).await;
        self.check_result(result.unwrap_or(Err(Error::UpstreamTimeout("the replica"))))
    }

    /// Like [`Self::query`], for a slow query that may use all the time of its request.
    pub(crate) async fn query_slow<T>(&self, query: impl Future<Output = Result<T>>) -> Option<T> {
        self.check_result(query.await)
    }

    fn check_result<T>(&self, result: Result<T>) -> Option<T> {
        result
            .inspect_err(|error| {
                let error = error as &dyn std::error::Error;
                tracing::warn!(error, "the replica fails; the primary is used instead");
                self.back_off("failed");
            })
            .ok()
    }

    /// Reports the state of the replica.
    pub(crate) async fn check(&self) -> CheckResult {
        match tokio::time::timeout(QUERY_MAX, self.is_current()).await {
            Ok(Ok(true)) => Ok("reachable".to_owned()),
            Ok(Ok(false)) => Err(format!(
                "lags more than {LAG_MAX_SECONDS} s: the primary is used instead"
            )),
            Ok(Err(_)) | Err(_) => Err("unreachable: the primary is used instead".to_owned()),
        }
    }

    async fn is_ready(&self) -> bool {
        let unused_until = *self.unused_until();
        if unused_until.is_some_and(|until| Instant::now() < until) {
            return false;
        }

        let is_current = self.query(self.is_current()).await;
        if is_current == Some(false) {
            tracing::info!("the replica lags; the primary is used instead");
            self.back_off("behind");
        }
        is_current == Some(true)
    }

    async fn is_current(&self) -> Result<bool> {
        Ok(sqlx::query_scalar(IS_CURRENT)
            .bind(LAG_MAX_SECONDS)
            .fetch_one(&self.pool)
            .await?)
    }

    fn back_off(&self, reason: &'static str) {
        metrics::counter!("database_replica_failures_total", "reason" => reason).increment(1);
        *self.unused_until() = Some(Instant::now() + BACKOFF);
    }

    fn unused_until(&self) -> MutexGuard<'_, Option<Instant>> {
        self.unused_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
