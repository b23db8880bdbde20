//! The automatic retries of a lane's unresolved dead letters.
//!
//! Owns when the lane looks for due dead letters, and the search for the one that cannot be retried. The store decides which
//! are due.

use super::pace::Pace;
use super::position::{Interrupt, LanePosition};
use super::share::Share;
use crate::context::Context;
use crate::failure::may_be_the_event;
use crate::transaction::{settle, within_limit};
use sqlx::{Connection as _, PgConnection};
use std::time::{Duration, Instant};
use tiris_domain::lane::LaneKey;
use tiris_runtime::explain;
use tiris_store::dead_letters::{self, Due, Retried};
use tiris_store::error::{Error, Result};
use tiris_store::lanes;
use tiris_store::ledger::{self, Cause};
use uuid::Uuid;

/// How often the lane looks for due dead letters; as long as the wait before the first retry. Also the wait after a failure.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// Dead letters retried in one transaction.
const RETRIES_MAX: u64 = 500;
/// The same in the first transaction of a lane, and after slow ones.
const RETRIES_START: u64 = 64;
const RETRIES_LEAST: u64 = 8;
/// How long a transaction of retries should take: new messages wait for it.
const RETRIES_TARGET: Duration = Duration::from_millis(100);
/// Retries take at most one in this many parts of the lane's time while new messages wait.
const PARTS: u32 = 4;
/// A failure that passes with time reduces the dead letters of the next transaction to this part, because the cause may be
/// one of them.
const REDUCTION: u64 = 4;

/// The state of a lane's retries.
#[derive(Debug)]
pub(super) struct Retries {
    checked: Option<Instant>,
    /// The last round left due dead letters.
    under_way: bool,
    pace: Pace,
    /// The user after whom the next round looks; `None` begins with the first.
    after: Option<Uuid>,
    share: Share,
}

impl Default for Retries {
    fn default() -> Self {
        Self {
            checked: None,
            under_way: false,
            pace: Pace::new(RETRIES_START, RETRIES_LEAST, RETRIES_TARGET),
            after: None,
            share: Share::one_in(PARTS),
        }
    }
}

/// The outcome of a round of retries.
pub(super) enum Round {
    /// It is too early to look, or no dead letter is due.
    Nothing,
    /// Dead letters were retried, and the outcome is committed.
    Done(Retried),
    /// Nothing is committed: the next round searches for the failing dead letter among fewer.
    Narrowed,
}

impl Retries {
    /// Returns whether more dead letters are due immediately.
    pub(super) const fn are_under_way(&self) -> bool {
        self.under_way
    }

    /// Records that new messages took time, which the retries may take in turn.
    pub(super) fn give(&mut self, time: Duration) {
        self.share.give(time);
    }

    /// Records that no new message waits.
    pub(super) fn forgive(&mut self) {
        self.share.forgive();
    }

    fn limit(&self) -> u64 {
        self.pace.limit().min(RETRIES_MAX)
    }

    fn is_time(&self) -> bool {
        let is_due = |checked: Instant| checked.elapsed() >= CHECK_INTERVAL;
        self.share.is_free() && (self.under_way || self.checked.is_none_or(is_due))
    }

    /// Retries the due dead letters.
    pub(super) async fn run(
        &mut self,
        context: &Context,
        position: &LanePosition,
    ) -> Result<Round, Interrupt> {
        if !self.is_time() {
            return Ok(Round::Nothing);
        }

        let begun = Instant::now();
        let round = self.retry(context, position).await;
        let took = begun.elapsed();
        self.share.take(took);
        match &round {
            Ok(Round::Nothing) => {
                self.checked = Some(Instant::now());
                self.under_way = self.after.is_some();
            }
            Ok(Round::Done(retried)) => {
                // Others may have waited behind a dead letter that is applied now.
                self.under_way = true;
                self.pace.succeeded(retried.tried, took);
                record(position.key, retried);
            }
            Err(Interrupt::Failed(error)) if may_be_the_event(error) => {
                self.under_way = true;
                self.pace.failed(self.limit());
                return Ok(Round::Narrowed);
            }
            // New messages do not wait for the cause to pass.
            Err(Interrupt::Failed(_)) => {
                self.checked = Some(Instant::now());
                self.under_way = false;
                self.pace.failed(self.limit() / REDUCTION);
            }
            Ok(Round::Narrowed) | Err(Interrupt::Lost | Interrupt::Moved(_)) => {}
        }
        round
    }

    async fn retry(
        &mut self,
        context: &Context,
        position: &LanePosition,
    ) -> Result<Round, Interrupt> {
        // Usually nothing is due, which costs no transaction and no lock.
        let limit = usize::try_from(self.limit()).unwrap_or(1);
        let due = look(context, position.key, self.after, limit).await?;
        let round = match due.letters.first() {
            Some(first) => self.retry_from(context, position, *first, limit).await,
            None => Ok(Round::Nothing),
        };

        // The cause of a failure is searched for among the same users. When it is found and passes with time, the others have
        // their turn meanwhile.
        if round.is_ok() || limit == 1 {
            self.after = due.next;
        }
        round
    }

    /// Retries at most `limit` due dead letters of the next users; `first` is the first of them.
    async fn retry_from(
        &self,
        context: &Context,
        position: &LanePosition,
        first: Uuid,
        limit: usize,
    ) -> Result<Round, Interrupt> {
        if limit > 1 {
            let due = Attempt::Due {
                after: self.after,
                limit,
            };
            return transact(context, position, due).await;
        }

        let outcome = transact(context, position, Attempt::One(first)).await;
        match &outcome {
            Err(Interrupt::Failed(error)) if may_be_the_event(error) => {
                tracing::error!(lane = %position.key, error = %explain(error), "a dead letter cannot be retried and waits for an operator");
                transact(context, position, Attempt::GiveUp(first, error)).await
            }
            _ => outcome,
        }
    }
}

/// Returns at most `limit` due dead letters of the users after `after`.
async fn look(context: &Context, key: LaneKey, after: Option<Uuid>, limit: usize) -> Result<Due> {
    let mut connection = context.pool.acquire().await?;
    let due = within_limit(dead_letters::due(&mut connection, key, after, limit)).await;
    settle(connection, due, |_| true)
}

/// The dead letters of a transaction.
enum Attempt<'a> {
    /// Retry at most `limit` due dead letters of the users after `after`.
    Due { after: Option<Uuid>, limit: usize },
    /// Retry one, while the failing one is searched for.
    One(Uuid),
    /// Stop the retries of one that fails for an unexpected reason.
    GiveUp(Uuid, &'a Error),
}

async fn transact(
    context: &Context,
    position: &LanePosition,
    attempt: Attempt<'_>,
) -> Result<Round, Interrupt> {
    let mut connection = context.pool.acquire().await?;
    let transaction = attempt.run(context, &mut connection, position);
    let outcome = within_limit(transaction).await;
    settle(connection, outcome, Interrupt::is_failure)
}

impl Attempt<'_> {
    async fn run(
        self,
        context: &Context,
        connection: &mut PgConnection,
        position: &LanePosition,
    ) -> Result<Round, Interrupt> {
        let mut transaction = connection.begin().await?;
        position.lock(&mut transaction).await?;

        let seed = rand::random();
        let retried = match self {
            Self::Due { after, limit } => {
                dead_letters::retry(&mut transaction, position.key, after, limit, seed).await?
            }
            Self::One(id) => dead_letters::retry_listed(&mut transaction, &[id], seed).await?,
            Self::GiveUp(id, error) => {
                let cause = Cause::internal(error);
                dead_letters::give_up(&mut transaction, &[id], &cause).await?;
                Retried {
                    tried: 1,
                    given_up: 1,
                    ..Retried::default()
                }
            }
        };
        lanes::renew_locked(&mut transaction, position.key, context.lease).await?;
        if let Some(timestamp) = retried.timestamp {
            ledger::assert_fresh(&mut transaction, timestamp).await?;
        }
        transaction.commit().await?;

        Ok(if retried.tried == 0 {
            Round::Nothing
        } else {
            Round::Done(retried)
        })
    }
}

fn record(key: LaneKey, retried: &Retried) {
    let tried = retried.tried;
    let applied = retried.applied;
    let given_up = retried.given_up;
    let waiting = tried.saturating_sub(applied).saturating_sub(given_up);

    for (outcome, count) in [
        ("applied", applied),
        ("given_up", given_up),
        ("waiting", waiting),
    ] {
        metrics::counter!("ingest_retries_total", "stream" => key.stream.name(), "outcome" => outcome)
            .increment(count);
    }

    retried.drift.record();
    if retried.drift.is_empty() {
        tracing::info!(lane = %key, tried, applied, given_up, "retried dead letters");
    } else {
        tracing::warn!(lane = %key, tried, applied, given_up, "retried dead letters, with drift");
    }
}
