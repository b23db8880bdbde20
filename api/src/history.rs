//! Where histories are read: from the database, or, as far as they are surely there, from a copy of it that may lag and be away.
//!
//! Owns: when the copy may be asked, and that nobody notices when it cannot answer. Must not know: which rows are asked for.

use crate::entities::Entities;
use chrono::{DateTime, Utc};
use sqlx::PgPool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tiris_runtime::health::CheckResult;
use tiris_store::error::{Error, Result};
use uuid::Uuid;

/// Only rows older than this are read from the copy. The ledger commits a row within ten seconds of its time, the copy has
/// what is older than [`LAG_MAX_SECONDS`], and the rest is for clocks that differ.
const SETTLED: Duration = Duration::from_secs(60);
/// How far behind the copy may be.
const LAG_MAX_SECONDS: i32 = 20;
/// How long the copy is waited for, so that asking the database itself is still in time.
const ANSWER_MAX: Duration = Duration::from_secs(3);
/// How long the copy is left alone after it could not answer.
const REST: Duration = Duration::from_secs(5);

/// Whether the copy has surely seen all that was committed before these seconds. A database that follows nobody is never
/// behind. While nothing is written anywhere a standby seems to lag, which costs nothing then.
const IS_CURRENT: &str = "SELECT NOT pg_is_in_recovery() \
    OR coalesce(pg_last_xact_replay_timestamp() > now() - $1 * interval '1 second', false)";
/// How many of the tradings are there and not about to be removed.
const LIVING: &str = "SELECT count(*) FROM tradings WHERE id = ANY($1) AND status <> 'deleting'";

/// The databases histories are read from.
#[derive(Clone)]
pub(crate) struct Histories {
    pool: PgPool,
    lists: Entities,
    replica: Option<Arc<Replica>>,
}

/// The copy.
pub(crate) struct Replica {
    pool: PgPool,
    db: Entities,
    resting_until: Mutex<Option<Instant>>,
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

    /// Connections to the database itself, for SQL.
    pub(crate) fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Connections for lists, whose statements are planned for their values.
    pub(crate) fn lists(&self) -> &Entities {
        &self.lists
    }

    /// The copy, when rows up to `newest` may be read there and it can answer.
    pub(crate) async fn replica(&self, newest: DateTime<Utc>) -> Option<&Replica> {
        let replica = self
            .replica
            .as_deref()
            .filter(|_| newest < Utc::now() - SETTLED)?;
        replica.is_ready().await.then_some(replica)
    }

    /// Whether none of these tradings was deleted meanwhile with what it held: that is gone for everybody at once.
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
            resting_until: Mutex::new(None),
        }
    }

    pub(crate) fn db(&self) -> &Entities {
        &self.db
    }

    /// Connections to it, for SQL.
    pub(crate) fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// What it answers; nothing when it cannot, which nobody else has to notice.
    pub(crate) async fn ask<T>(&self, asked: impl Future<Output = Result<T>>) -> Option<T> {
        let answered = tokio::time::timeout(ANSWER_MAX, asked).await;
        self.judge(answered.unwrap_or(Err(Error::UpstreamTimeout("the replica"))))
    }

    /// The same for what takes long by its nature: it has all the time the request has.
    pub(crate) async fn ask_at_length<T>(
        &self,
        asked: impl Future<Output = Result<T>>,
    ) -> Option<T> {
        self.judge(asked.await)
    }

    fn judge<T>(&self, answered: Result<T>) -> Option<T> {
        match answered {
            Ok(answer) => Some(answer),
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the replica does not answer"
                );
                self.rest("failed");
                None
            }
        }
    }

    /// How it is, for whoever looks after the service.
    pub(crate) async fn check(&self) -> CheckResult {
        match tokio::time::timeout(ANSWER_MAX, self.is_current()).await {
            Ok(Ok(true)) => Ok("reachable".to_owned()),
            Ok(Ok(false)) => Err(format!(
                "more than {LAG_MAX_SECONDS} s behind: the database is asked instead"
            )),
            Ok(Err(_)) | Err(_) => Err("away: the database is asked instead".to_owned()),
        }
    }

    async fn is_ready(&self) -> bool {
        let resting = *self
            .resting_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if resting.is_some_and(|until| Instant::now() < until) {
            return false;
        }
        let current = self.ask(self.is_current()).await;
        if current == Some(false) {
            tracing::info!("the replica is behind");
            self.rest("behind");
        }
        current == Some(true)
    }

    async fn is_current(&self) -> Result<bool> {
        Ok(sqlx::query_scalar(IS_CURRENT)
            .bind(LAG_MAX_SECONDS)
            .fetch_one(&self.pool)
            .await?)
    }

    fn rest(&self, reason: &'static str) {
        metrics::counter!("database_replica_failures_total", "reason" => reason).increment(1);
        *self
            .resting_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + REST);
    }
}
