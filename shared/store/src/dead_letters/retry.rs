//! Automatic retries: unresolved events are retried in order, until they are applied or out of attempts.

use super::queue;
use super::read::{Blocking, lock_blocking};
use super::resolve::{self, Actor};
use crate::column::values;
use crate::drift::DriftCounts;
use crate::error::Result;
use crate::lanes::columns::convert;
use crate::ledger::{self, Cause, Claims, Disposition, Waiting, Work};
use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use std::collections::BTreeSet;
use std::time::Duration;
use tiris_domain::lane::LaneKey;
use tiris_domain::ledger::Rejection;
use tiris_domain::states::DeadLetterClass;
use uuid::Uuid;

/// The wait before each automatic retry; after the last one the dead letter waits for a person, and nothing waits behind it.
pub(super) const RETRY_WAITS: [Duration; 3] = [
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(30),
];

/// Returns the ages at which dead letters are retried. One that waited behind others runs out of attempts at the same age as
/// one that was tried from the start, so that those behind it do not wait for all retries once more.
fn retry_ages() -> impl Iterator<Item = Duration> {
    RETRY_WAITS.iter().scan(Duration::ZERO, |sum, wait| {
        *sum += *wait;
        Some(*sum)
    })
}

/// The result of a round of retries, in dead letters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retried {
    /// Retried, or found to wait behind another.
    pub tried: u64,
    /// Applied and closed.
    pub applied: u64,
    /// Refused for good, or out of attempts.
    pub given_up: u64,
    /// The `timestamp` of every row that was written, for [`ledger::assert_fresh`]; `None` when nothing was tried.
    pub timestamp: Option<DateTime<Utc>>,
    /// Users of the applied events.
    pub users: BTreeSet<Uuid>,
    /// The drift of the applied events.
    pub drift: DriftCounts,
}

/// The next state of a dead letter.
enum Next {
    /// Closed, because its event is in the books.
    Closed,
    /// Unchanged, behind another.
    Unchanged,
    /// Waits for its next retry, for its user to be enabled, or behind another.
    Waits(Update),
    /// Waits for an operator.
    GivenUp(Update),
}

struct Update {
    id: Uuid,
    cause: Cause,
    attempts: usize,
    wait: Option<Duration>,
}

impl Blocking {
    const fn age(&self) -> Duration {
        Duration::from_millis(self.age_millis)
    }

    /// Returns the number of attempts when this one fails. A dead letter that waited behind others has missed those of its
    /// age; one that waited for its user to be enabled starts anew.
    fn attempts_after(&self) -> usize {
        if self.letter.code == Cause::BEHIND_UNRESOLVED {
            retry_ages().filter(|age| *age <= self.age()).count()
        } else if self.letter.code == Rejection::UserDisabled.code() {
            self.letter.attempts
        } else {
            self.letter.attempts + 1
        }
    }

    /// Returns the wait before the next retry when this attempt fails; `None` when it is the last.
    fn next_wait(&self) -> Option<Duration> {
        let made = self.attempts_after();
        if self.letter.code == Cause::BEHIND_UNRESOLVED {
            let age = retry_ages().nth(made)?;
            return Some(age.saturating_sub(self.age()));
        }

        RETRY_WAITS.get(made).copied()
    }

    fn after(&self, disposition: &Disposition) -> Next {
        let cause = match disposition {
            // A duplicate was applied in another way meanwhile.
            Disposition::Applied(_) | Disposition::Recorded | Disposition::Duplicate => {
                return Next::Closed;
            }
            Disposition::Deferred if self.letter.code == Cause::BEHIND_UNRESOLVED => {
                return Next::Unchanged;
            }
            Disposition::Deferred => {
                return Next::Waits(Update {
                    attempts: self.letter.attempts,
                    ..self.failed(&Cause::BehindUnresolved, None)
                });
            }
            Disposition::DeadLetter(cause) => cause,
        };

        match (cause.class(), self.next_wait()) {
            _ if cause.is_user_disabled() => Next::Waits(self.failed(cause, None)),
            (DeadLetterClass::Unresolved, Some(wait)) => {
                Next::Waits(self.failed(cause, Some(wait)))
            }
            _ => Next::GivenUp(self.failed(cause, None)),
        }
    }

    fn failed(&self, cause: &Cause, wait: Option<Duration>) -> Update {
        Update {
            id: self.letter.id,
            cause: cause.clone(),
            attempts: self.attempts_after(),
            wait,
        }
    }
}

/// Retries due dead letters of the users after `after` in the lane, at most `limit`, inside the caller's transaction, which
/// has locked the lane's row. `seed` is random, for the row ids.
pub async fn retry(
    connection: &mut PgConnection,
    key: LaneKey,
    after: Option<Uuid>,
    limit: usize,
    seed: u64,
) -> Result<Retried> {
    let due = queue::due(connection, key, after, limit).await?;
    retry_listed(connection, &due.letters, seed).await
}

/// Retries those of the dead letters `ids` that still block, in order, inside the caller's transaction, which has locked the
/// rows of their lanes. No other dead letter may block them.
pub async fn retry_listed(
    connection: &mut PgConnection,
    ids: &[Uuid],
    seed: u64,
) -> Result<Retried> {
    let letters = lock_blocking(connection, ids).await?;
    if letters.is_empty() {
        return Ok(Retried::default());
    }

    // Retried dead letters came on subjects that were accepted, so they are parsed by them.
    let works: Vec<Work> = values(&letters, |blocking| {
        blocking.letter.work(&blocking.letter.subject)
    });
    let entries = letters
        .iter()
        .zip(&works)
        .filter(|(_, work)| work.entry().is_some());
    let last_tries = entries
        .enumerate()
        .filter(|(_, (letter, _))| letter.next_wait().is_none());
    let waiting = Waiting {
        last_tries: last_tries.map(|(at, _)| at).collect(),
        ..Waiting::default()
    };
    let batch = ledger::apply(connection, &works, Claims::Again, waiting, seed).await?;
    let done = letters.iter().zip(&batch.dispositions);
    let nexts = done.map(|(letter, disposition)| letter.after(disposition));
    let nexts: Vec<Next> = nexts.collect();
    write(connection, &letters, &nexts).await?;

    let count = |wanted: fn(&&Next) -> bool| convert(nexts.iter().filter(wanted).count());
    let applied = works
        .iter()
        .zip(&batch.dispositions)
        .filter(|(_, disposition)| disposition.is_applied());
    Ok(Retried {
        tried: count(|_| true)?,
        applied: count(|next| matches!(next, Next::Closed))?,
        given_up: count(|next| matches!(next, Next::GivenUp(_)))?,
        timestamp: Some(batch.timestamp),
        users: applied
            .filter_map(|(work, _)| Some(work.entry()?.user.0))
            .collect(),
        drift: DriftCounts::of(&batch.dispositions),
    })
}

/// Ends the automatic retries of dead letters that failed unexpectedly.
pub async fn give_up(connection: &mut PgConnection, ids: &[Uuid], cause: &Cause) -> Result<()> {
    let letters = lock_blocking(connection, ids).await?;
    let nexts = values(&letters, |letter| Next::GivenUp(letter.failed(cause, None)));
    write(connection, &letters, &nexts).await
}

async fn write(connection: &mut PgConnection, letters: &[Blocking], nexts: &[Next]) -> Result<()> {
    let closed = letters
        .iter()
        .zip(nexts)
        .filter(|(_, next)| matches!(next, Next::Closed));
    let closed: Vec<Uuid> = closed.map(|(blocking, _)| blocking.letter.id).collect();
    resolve::close_replayed(connection, &closed, &Actor::Lane).await?;

    let updates = nexts.iter().filter_map(|next| match next {
        Next::Closed | Next::Unchanged => None,
        Next::Waits(update) | Next::GivenUp(update) => Some(update),
    });
    let updates: Vec<&Update> = updates.collect();
    if updates.is_empty() {
        return Ok(());
    }

    let attempts = updates.iter().map(|update| convert(update.attempts));
    let attempts = attempts.collect::<Result<Vec<i32>>>()?;
    sqlx::query(
        "UPDATE dead_letters d SET class = n.class, code = n.code, reason = n.reason, attempts = n.attempts, \
         next_attempt_at = clock_timestamp() + n.wait, updated_at = clock_timestamp() \
         FROM UNNEST($1::uuid[], $2::text[], $3::text[], $4::text[], $5::int[], $6::interval[]) \
         AS n (id, class, code, reason, attempts, wait) WHERE d.id = n.id",
    )
    .bind(values(&updates, |update| update.id))
    .bind(values(&updates, |update| update.cause.class().as_str()))
    .bind(values(&updates, |update| update.cause.code()))
    .bind(values(&updates, |update| update.cause.to_string()))
    .bind(attempts)
    .bind(values(&updates, |update| update.wait))
    .execute(connection)
    .await?;
    Ok(())
}
