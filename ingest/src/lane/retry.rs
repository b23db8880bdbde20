//! The lane's own retries of letters that could not be resolved when they came.
//!
//! Owns: when the lane looks, and the search of the one letter that cannot be tried. The store decides whose turn it is.

use super::position::{LanePosition, Locked};
use crate::context::Context;
use crate::failure::may_be_the_event;
use crate::transaction::{settle, within_limit};
use sqlx::{Connection as _, PgConnection};
use std::time::{Duration, Instant};
use tiris_domain::lane::LaneKey;
use tiris_runtime::explain;
use tiris_store::dead_letters::{self, Retried};
use tiris_store::error::{Error, Result};
use tiris_store::lanes;
use tiris_store::ledger::{self, Cause};
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

/// What a round of retries came to.
pub(super) enum Round {
    /// It is not time to look, or it is no letter's turn.
    Nothing,
    /// Letters were tried, and what became of them is committed.
    Done(Retried),
    /// Nothing is committed: the letter that fails is searched among fewer.
    Narrowed,
    /// Another worker has the lane.
    Lost,
}

impl Retries {
    /// Whether there are more letters to try at once.
    pub(super) const fn are_under_way(&self) -> bool {
        self.under_way
    }

    fn is_time(&self) -> bool {
        let is_due = |looked: Instant| looked.elapsed() >= LOOK_INTERVAL;
        self.under_way || self.looked.is_none_or(is_due)
    }

    /// Tries the letters whose turn it is.
    pub(super) async fn run(
        &mut self,
        context: &Context,
        position: &LanePosition,
    ) -> Result<Round> {
        if !self.is_time() {
            return Ok(Round::Nothing);
        }

        let round = self.retry(context, position).await;
        match &round {
            Ok(Round::Nothing) => {
                *self = Self {
                    looked: Some(Instant::now()),
                    ..Self::default()
                };
            }
            // An applied letter may have been what others waited behind.
            Ok(Round::Done(retried)) => {
                *self = Self {
                    under_way: true,
                    ..Self::default()
                };
                record(position.key, retried);
            }
            Ok(Round::Narrowed | Round::Lost) => {}
            Err(error) if may_be_the_event(error) => {
                *self = Self {
                    looked: None,
                    under_way: true,
                    limit: self.limit / 2,
                };
                return Ok(Round::Narrowed);
            }
            // Smaller, because it may have been too much for a limit of time.
            Err(_) => self.limit = (self.limit / 2).max(1),
        }
        round
    }

    async fn retry(&self, context: &Context, position: &LanePosition) -> Result<Round> {
        let mut connection = context.pool.acquire().await?;
        // Mostly there is nothing, which costs no transaction and no lock.
        let due = within_limit(dead_letters::due(&mut connection, position.key, 1)).await;
        let head = match due {
            Ok(letters) => letters.first().copied(),
            Err(error) => return settle(connection, Err(error)),
        };
        let Some(head) = head else {
            return Ok(Round::Nothing);
        };

        let attempt = if self.limit > 1 {
            Attempt::Due(self.limit)
        } else {
            Attempt::One(head)
        };
        let tried = transact(context, &mut connection, position, attempt);
        let outcome = within_limit(tried).await;
        match outcome {
            Err(error) if self.limit <= 1 && may_be_the_event(&error) => {
                tracing::error!(lane = %position.key, error = %explain(&error), "a letter cannot be tried, it waits for a person");
                drop(connection.detach());
                let mut connection = context.pool.acquire().await?;
                let given_up = Attempt::GiveUp(head, &error);
                let outcome =
                    within_limit(transact(context, &mut connection, position, given_up)).await;
                settle(connection, outcome)
            }
            outcome => settle(connection, outcome),
        }
    }
}

/// What a transaction tries.
enum Attempt<'a> {
    /// Up to so many letters whose turn it is.
    Due(i64),
    /// One letter, while the one that fails is searched.
    One(Uuid),
    /// Nothing: the letter fails for an unforeseen reason and is given up.
    GiveUp(Uuid, &'a Error),
}

async fn transact(
    context: &Context,
    connection: &mut PgConnection,
    position: &LanePosition,
    attempt: Attempt<'_>,
) -> Result<Round> {
    let mut transaction = connection.begin().await?;
    if matches!(position.lock(&mut transaction).await?, Locked::Lost) {
        return Ok(Round::Lost);
    }

    let seed = rand::random();
    let retried = match attempt {
        Attempt::Due(limit) => {
            dead_letters::retry(&mut transaction, position.key, limit, seed).await?
        }
        Attempt::One(letter) => {
            dead_letters::retry_listed(&mut transaction, &[letter], seed).await?
        }
        Attempt::GiveUp(letter, error) => {
            let cause = Cause::internal(error);
            dead_letters::give_up(&mut transaction, &[letter], &cause).await?;
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

fn record(key: LaneKey, retried: &Retried) {
    let Retried {
        tried,
        applied,
        given_up,
        ..
    } = *retried;
    let waiting = tried.saturating_sub(applied).saturating_sub(given_up);

    for (outcome, count) in [
        ("applied", applied),
        ("given_up", given_up),
        ("waiting", waiting),
    ] {
        metrics::counter!("ingest_retries_total", "stream" => key.stream.name(), "outcome" => outcome)
            .increment(count);
    }

    tracing::info!(lane = %key, tried, applied, given_up, "dead letters tried again");
}
