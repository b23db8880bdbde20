//! The lane's own retries of letters that could not be resolved when they came.
//!
//! Owns: when the lane looks, and the search of the one letter that cannot be tried. Must not know: whose turn it is; the
//! store decides that.

use super::transaction::{settle, within_limit};
use super::{BACKOFF_MIN, Lane, Step, describe, lane_column};
use crate::blame;
use crate::plan::Counts;
use sqlx::{Connection as _, PgConnection};
use std::time::{Duration, Instant};
use tiris_store::dead_letters::{self, Cause, Retried};
use tiris_store::error::{Error, Result};
use tiris_store::{lanes, ledger};
use uuid::Uuid;

/// How often the lane looks whether a letter's turn has come; the first wait of a letter is as long.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// Letters tried in one transaction.
const LETTERS_MAX: i64 = 500;

/// Where the lane is with its letters.
#[derive(Debug)]
pub(super) struct Retries {
    looked: Option<Instant>,
    /// The last round left letters whose turn it is.
    under_way: bool,
    /// Letters the next transaction takes; shrinks while an unforeseen failure is searched.
    limit: i64,
}

impl Default for Retries {
    fn default() -> Self {
        Self {
            looked: None,
            under_way: false,
            limit: LETTERS_MAX,
        }
    }
}

impl Retries {
    /// Whether there are more letters to try at once.
    pub(super) const fn are_under_way(&self) -> bool {
        self.under_way
    }

    fn is_time(&self) -> bool {
        self.under_way
            || self
                .looked
                .is_none_or(|looked| looked.elapsed() >= LOOK_INTERVAL)
    }
}

/// What a transaction came to.
enum Round {
    Done(Retried),
    Lost,
}

impl Lane {
    /// Tries the letters whose turn it is; none when there are none, or it is not the time to look.
    pub(super) async fn retry_due(&mut self) -> Option<Step> {
        if !self.retries.is_time() {
            return None;
        }
        match self.retry().await {
            Ok(Round::Done(retried)) if retried.tried == 0 => {
                self.retries = Retries {
                    looked: Some(Instant::now()),
                    ..Retries::default()
                };
                None
            }
            Ok(Round::Done(retried)) => {
                // An applied letter may have been what others waited behind.
                self.retries = Retries {
                    under_way: true,
                    ..Retries::default()
                };
                self.backoff = BACKOFF_MIN;
                self.context
                    .connection
                    .tell_committed_untraced(&retried.users);
                self.record_retries(&retried);
                Some(Step::Committed(Counts {
                    applied: retried.applied,
                    ..Counts::default()
                }))
            }
            Ok(Round::Lost) => Some(Step::Lost),
            Err(error) if blame::may_be_the_event(&error) => {
                self.retries = Retries {
                    under_way: true,
                    limit: self.retries.limit / 2,
                    ..Retries::default()
                };
                Some(Step::Committed(Counts::default()))
            }
            Err(error) => {
                // Smaller, because it may have been too much for a limit of time.
                self.retries.limit = (self.retries.limit / 2).max(1);
                Some(Step::Waiting(describe(&error)))
            }
        }
    }

    async fn retry(&self) -> Result<Round> {
        let (stream, lane) = (self.id.stream.name(), lane_column(self.id));
        let mut connection = self.context.pool.acquire().await?;
        // Mostly there is nothing, which costs no transaction and no lock.
        let due = within_limit(dead_letters::due(&mut connection, stream, lane, 1)).await;
        if matches!(&due, Ok(letters) if letters.is_empty()) {
            return Ok(Round::Done(Retried::default()));
        }
        let head = due
            .as_ref()
            .ok()
            .and_then(|letters| letters.first())
            .copied();
        let outcome = match due {
            Ok(_) => within_limit(self.retry_in(&mut connection, head, None)).await,
            Err(error) => Err(error),
        };
        let outcome = match outcome {
            Err(error) if self.retries.limit <= 1 && blame::may_be_the_event(&error) => {
                tracing::error!(lane = %self.id, error = %describe(&error), "a letter cannot be tried, it waits for a person");
                drop(connection.detach());
                connection = self.context.pool.acquire().await?;
                within_limit(self.retry_in(&mut connection, head, Some(&error))).await
            }
            other => other,
        };
        settle(connection, outcome)
    }

    /// One transaction. While the one letter that fails is searched it takes `head` alone; with `failure` that letter is
    /// given up instead of tried.
    async fn retry_in(
        &self,
        connection: &mut PgConnection,
        head: Option<Uuid>,
        failure: Option<&Error>,
    ) -> Result<Round> {
        let (stream, lane) = (self.id.stream.name(), lane_column(self.id));
        let mut transaction = connection.begin().await?;
        let state = lanes::lock(&mut transaction, stream, lane).await?;
        if !state.is_some_and(|state| self.owns(&state)) {
            return Ok(Round::Lost);
        }
        let retried = match failure {
            None if self.retries.limit > 1 => {
                let limit = self.retries.limit;
                dead_letters::retry(&mut transaction, stream, lane, limit, rand::random()).await?
            }
            None => {
                dead_letters::retry_listed(&mut transaction, head.as_slice(), rand::random())
                    .await?
            }
            Some(error) => {
                dead_letters::put_aside(&mut transaction, head.as_slice(), &Cause::internal(error))
                    .await?;
                Retried {
                    tried: 1,
                    given_up: 1,
                    ..Retried::default()
                }
            }
        };
        lanes::renew_locked(&mut transaction, stream, lane, self.context.lease).await?;
        if let Some(timestamp) = retried.timestamp {
            ledger::assert_fresh(&mut transaction, timestamp).await?;
        }
        transaction.commit().await?;
        Ok(Round::Done(retried))
    }

    fn record_retries(&self, retried: &Retried) {
        let waiting = retried
            .tried
            .saturating_sub(retried.applied)
            .saturating_sub(retried.given_up);
        let outcomes = [
            ("applied", retried.applied),
            ("given_up", retried.given_up),
            ("waiting", waiting),
        ];
        for (outcome, count) in outcomes {
            metrics::counter!("ingest_retries_total", "stream" => self.id.stream.name(), "outcome" => outcome)
                .increment(count);
        }
        let (tried, applied, given_up) = (retried.tried, retried.applied, retried.given_up);
        tracing::info!(lane = %self.id, tried, applied, given_up, "dead letters tried again");
    }
}
