//! The transaction of a request that changes something, from begin to commit.
//!
//! A use case is a closure over a [`Tx`] that ends with [`Audited::finish`]. It runs again when it loses a race, such as a
//! deadlock, so it must have no effect outside of its transaction. Only an [`Audited`] transaction commits, so that no
//! operation changes something without an entry in the audit trail.

use super::free_text;
use super::reply::Reply;
use crate::state::State;
use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{AssertSqlSafe, PgConnection, Postgres, Transaction};
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use tiris_domain::ids::UserId;
use tiris_runtime::trace;
use tiris_store::audit::{self, Action, Actor, Recorded};
use tiris_store::drift::DriftCounts;
use tiris_store::error::{Error, Result};
use tiris_store::idempotency::{self, BODY_BYTES_MAX, Call, Stored};
use tiris_store::ledger::{Applied, Cause, Disposition, Entry, apply_batch, assert_fresh};
use tiris_store::race::retried;

/// A transaction of a request, rolled back unless its action is recorded and it is committed.
pub(crate) struct Tx {
    transaction: Transaction<'static, Postgres>,
    state: State,
    /// A commit wakes the live streams of this user.
    user: Option<UserId>,
    call: Option<Arc<Call>>,
    /// Whether a repeated call can read the resource again instead of a stored response.
    can_reread: bool,
    booked_at: Option<DateTime<Utc>>,
    /// The drift of the booked logs.
    drift: DriftCounts,
    /// The actions to log when the transaction is committed.
    recorded: Vec<Recorded>,
}

impl Deref for Tx {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.transaction
    }
}

impl DerefMut for Tx {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.transaction
    }
}

impl Tx {
    /// Runs `work` in a transaction of `user`, with retries.
    pub(crate) async fn run<T, W, F>(state: &State, user: UserId, work: W) -> Result<T>
    where
        W: Fn(Self) -> F,
        F: Future<Output = Result<T>>,
    {
        retried(async || work(Self::begin(state, Some(user), None).await?).await).await
    }

    /// Runs `work` in a transaction without a user, with retries.
    pub(crate) async fn run_public<T, W, F>(state: &State, work: W) -> Result<T>
    where
        W: Fn(Self) -> F,
        F: Future<Output = Result<T>>,
    {
        retried(async || work(Self::begin(state, None, None).await?).await).await
    }

    pub(super) async fn begin(
        state: &State,
        user: Option<UserId>,
        call: Option<Arc<Call>>,
    ) -> Result<Self> {
        let begin = AssertSqlSafe(trace::begin_statement());

        Ok(Self {
            transaction: state.pool.begin_with(begin).await?,
            state: state.clone(),
            user,
            call,
            can_reread: false,
            booked_at: None,
            drift: DriftCounts::default(),
            recorded: Vec::new(),
        })
    }

    /// Lets a repeated call read the resource again, so that a large response need not be stored.
    pub(super) fn with_reread(self) -> Self {
        Self {
            can_reread: true,
            ..self
        }
    }

    /// Books the entries, all or none, and returns the effect of each.
    pub(crate) async fn book(&mut self, entries: &[Entry]) -> Result<Vec<Applied>> {
        let batch = apply_batch(&mut self.transaction, entries, rand::random()).await?;
        self.booked_at = Some(batch.timestamp);
        self.add_drift(&DriftCounts::of(&batch.dispositions));

        let applied = |disposition| match disposition {
            Disposition::Applied(applied) => Ok(applied),
            Disposition::DeadLetter(Cause::Rejected(rejected)) => Err(rejected.into()),
            Disposition::DeadLetter(_)
            | Disposition::Recorded
            | Disposition::Duplicate
            | Disposition::Deferred => {
                let why = "an entry without an event id counts as an event";
                Err(Error::internal(why))
            }
        };
        batch.dispositions.into_iter().map(applied).collect()
    }

    /// Books an entry.
    pub(crate) async fn book_one(&mut self, entry: &Entry) -> Result<Booked> {
        let applied = self.book(std::slice::from_ref(entry)).await?.pop();
        match (self.booked_at, applied) {
            (Some(timestamp), Some(applied)) => Ok(Booked { timestamp, applied }),
            _ => Err(Error::internal("an entry without outcome")),
        }
    }

    /// Adds drift to the metrics when the transaction is committed.
    pub(crate) fn add_drift(&mut self, drift: &DriftCounts) {
        self.drift.merge(drift);
    }

    /// Records an action in the audit trail, and logs it when the transaction is committed.
    pub(crate) async fn record(&mut self, actor: &Actor, action: &Action<'_>) -> Result<()> {
        let recorded = audit::record(self, actor, action).await?;
        self.recorded.push(recorded);
        Ok(())
    }

    /// Records the action of the transaction in the audit trail.
    pub(crate) async fn audited(mut self, actor: &Actor, action: &Action<'_>) -> Result<Audited> {
        self.record(actor, action).await?;
        Ok(Audited(self))
    }

    /// Ends a transaction that found nothing to change. Only an idempotency key is stored, without the response: a
    /// repeated call must not change what others have changed since.
    pub(crate) async fn finish_unchanged<T: Serialize, const STATUS: u16>(
        mut self,
        data: T,
    ) -> Result<Reply<T, STATUS>> {
        if let Some(call) = &self.call {
            let stored = Stored::Nothing;
            idempotency::keep(&mut self.transaction, call, STATUS, stored, None).await?;
            self.transaction.commit().await?;
        }
        Ok(Reply::done(data))
    }

    /// Skips the audit trail: the request changes nothing.
    pub(crate) fn unchanged(self) -> Audited {
        Audited(self)
    }

    /// Skips the audit trail: a session is renewed, as every hour.
    pub(crate) fn renewed(self) -> Audited {
        Audited(self)
    }

    /// Skips the audit trail: the transaction continues an action that an earlier one has recorded.
    pub(crate) fn continued(self) -> Audited {
        Audited(self)
    }
}

/// A transaction that may commit.
pub(crate) struct Audited(Tx);

impl Audited {
    /// Commits with `data` as the response, and wakes the live streams of the user.
    pub(crate) async fn finish<T: Serialize, const STATUS: u16>(
        mut self,
        data: T,
    ) -> Result<Reply<T, STATUS>> {
        let tx = &mut self.0;
        if let Some(call) = &tx.call {
            let booked_at = tx.booked_at.take();
            let mut body = body_of(&data)?;
            let is_large = body.len() > BODY_BYTES_MAX;
            let stored = if is_large && tx.can_reread {
                Stored::Nothing
            } else if is_large && booked_at.is_some() {
                body = free_text::removed(&body)?;
                Stored::WithoutFreeText(&body)
            } else {
                Stored::Whole(&body)
            };
            idempotency::keep(&mut tx.transaction, call, STATUS, stored, booked_at).await?;
        }
        self.commit().await?;
        Ok(Reply::done(data))
    }

    /// Commits, and wakes the live streams of the user.
    pub(crate) async fn commit(self) -> Result<()> {
        let Self(mut tx) = self;
        if let Some(timestamp) = tx.booked_at {
            assert_fresh(&mut tx.transaction, timestamp).await?;
        }
        tx.transaction.commit().await?;
        tx.drift.record();
        for recorded in tx.recorded {
            recorded.log();
        }

        if let Some(user) = tx.user {
            tx.state.streams.wakes.publish_committed(user);
        }
        Ok(())
    }
}

/// The outcome of a booked entry.
pub(crate) struct Booked {
    /// The time that all rows of the booking share.
    pub(crate) timestamp: DateTime<Utc>,
    pub(crate) applied: Applied,
}

pub(super) fn body_of(data: &impl Serialize) -> Result<String> {
    serde_json::to_string(data).map_err(|error| Error::Internal(error.into()))
}
