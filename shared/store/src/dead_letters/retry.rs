//! The lane's own retries: what could not be resolved is tried again, in order, until it is given up.
//!
//! Owns: one round of retries and what becomes of each letter.

use super::queue;
use super::resolve::{self, Actor};
use crate::error::Result;
use crate::lanes::columns::convert;
use crate::ledger::{self, Cause, Claims, Disposition, Origin, Waiting, Work};
use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use std::collections::BTreeSet;
use std::time::Duration;
use tiris_domain::event::BareSubjects;
use tiris_domain::lane::{EventStream, LaneKey};
use tiris_domain::ledger::Rejection;
use tiris_domain::states::DeadLetterClass;
use uuid::Uuid;

/// Before each automatic try; after the last one the letter waits for a person, and nothing waits behind it.
pub(super) const RETRY_WAITS: [Duration; 5] = [
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_secs(5 * 60),
    Duration::from_secs(60 * 60),
];

/// Waits before a letter's tries, added up: a letter that had to wait behind others is given up at the same age as one
/// that was tried from the start, so that the letters behind it need not wait all of it once more.
fn try_ages() -> impl Iterator<Item = Duration> {
    RETRY_WAITS.iter().scan(Duration::ZERO, |sum, wait| {
        *sum += *wait;
        Some(*sum)
    })
}

/// What a round of retries did, in letters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retried {
    /// Looked at.
    pub tried: u64,
    /// In the books now.
    pub applied: u64,
    /// Refused for good, or tried for the last time.
    pub given_up: u64,
    /// The `timestamp` of every row it wrote, for [`ledger::assert_fresh`]; none when there was nothing to try.
    pub timestamp: Option<DateTime<Utc>>,
    /// Of whom something is in the books now.
    pub users: BTreeSet<Uuid>,
}

#[derive(Debug, sqlx::FromRow)]
struct Letter {
    id: Uuid,
    #[sqlx(try_from = "String")]
    stream: EventStream,
    #[sqlx(try_from = "i64")]
    stream_seq: u64,
    subject: String,
    payload: Vec<u8>,
    broker_time: Option<DateTime<Utc>>,
    code: String,
    #[sqlx(try_from = "i32")]
    attempts: usize,
    #[sqlx(try_from = "i64")]
    age_millis: u64,
}

/// What becomes of a letter.
enum Next {
    /// It is in the books, and closed.
    Closed,
    /// It stays as it is, behind another.
    Unchanged,
    /// It waits for its next retry, for its user to be enabled, or behind another.
    Waits(Update),
    /// It waits for a person.
    GivenUp(Update),
}

struct Update {
    id: Uuid,
    cause: Cause,
    attempts: usize,
    wait: Option<Duration>,
}

impl Letter {
    /// The message once more. Whatever became a letter of this kind was accepted by its subject then.
    fn work(&self) -> Work {
        let origin = Origin {
            stream: self.stream,
            stream_seq: self.stream_seq,
            broker_time: self.broker_time,
        };
        Work::parse(&self.subject, &self.payload, BareSubjects::Accept, &origin)
    }

    const fn age(&self) -> Duration {
        Duration::from_millis(self.age_millis)
    }

    /// Tries that count when this one fails. One that waited behind others has missed those of its age; one that waited
    /// for its user to be enabled starts anew.
    fn attempts_after(&self) -> usize {
        if self.code == Cause::BEHIND_UNRESOLVED {
            try_ages().filter(|age| *age <= self.age()).count()
        } else if self.code == Rejection::UserDisabled.code() {
            self.attempts
        } else {
            self.attempts + 1
        }
    }

    /// How long it waits when this try fails as well; none when it was the last.
    fn next_wait(&self) -> Option<Duration> {
        let made = self.attempts_after();
        if self.code == Cause::BEHIND_UNRESOLVED {
            return try_ages()
                .nth(made)
                .map(|age| age.saturating_sub(self.age()));
        }

        RETRY_WAITS.get(made).copied()
    }

    fn after(&self, disposition: &Disposition) -> Next {
        let cause = match disposition {
            // A duplicate was applied by another way meanwhile.
            Disposition::Applied(_) | Disposition::Recorded | Disposition::Duplicate => {
                return Next::Closed;
            }
            Disposition::Deferred if self.code == Cause::BEHIND_UNRESOLVED => {
                return Next::Unchanged;
            }
            Disposition::Deferred => {
                return Next::Waits(Update {
                    attempts: self.attempts,
                    ..self.failed(&Cause::BehindUnresolved, None)
                });
            }
            Disposition::DeadLetter(cause) => cause,
        };

        match (cause.class(), self.next_wait()) {
            _ if *cause == Cause::Rejected(Rejection::UserDisabled) => {
                Next::Waits(self.failed(cause, None))
            }
            (DeadLetterClass::Unresolved, Some(wait)) => {
                Next::Waits(self.failed(cause, Some(wait)))
            }
            _ => Next::GivenUp(self.failed(cause, None)),
        }
    }

    fn failed(&self, cause: &Cause, wait: Option<Duration>) -> Update {
        Update {
            id: self.id,
            cause: cause.clone(),
            attempts: self.attempts_after(),
            wait,
        }
    }
}

/// Tries the letters of the lane whose turn it is, at most `limit`, inside the caller's transaction, which holds the
/// lane's row. `seed` is random, for the row ids.
pub async fn retry(
    connection: &mut PgConnection,
    key: LaneKey,
    limit: i64,
    seed: u64,
) -> Result<Retried> {
    let ids = queue::due(connection, key, limit).await?;
    retry_listed(connection, &ids, seed).await
}

/// Tries those of the letters `ids` that still block, in order, inside the caller's transaction, which holds the rows of
/// their lanes. No letter of another key may stand before them.
pub async fn retry_listed(
    connection: &mut PgConnection,
    ids: &[Uuid],
    seed: u64,
) -> Result<Retried> {
    let letters = lock(connection, ids).await?;
    if letters.is_empty() {
        return Ok(Retried::default());
    }

    let works: Vec<Work> = letters.iter().map(Letter::work).collect();
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
    let nexts: Vec<Next> = done
        .map(|(letter, disposition)| letter.after(disposition))
        .collect();
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
    })
}

/// Gives letters up, because trying them failed for an unforeseen reason.
pub async fn give_up(connection: &mut PgConnection, ids: &[Uuid], cause: &Cause) -> Result<()> {
    let letters = lock(connection, ids).await?;
    let given_up = letters
        .iter()
        .map(|letter| Next::GivenUp(letter.failed(cause, None)));
    let nexts: Vec<Next> = given_up.collect();

    write(connection, &letters, &nexts).await
}

async fn lock(connection: &mut PgConnection, ids: &[Uuid]) -> Result<Vec<Letter>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }

    let letters = sqlx::query_as(
        "SELECT id, stream, stream_seq, subject, payload, broker_time, code, attempts, \
         greatest(0, (extract(epoch FROM clock_timestamp() - created_at) * 1000)::bigint) AS age_millis FROM dead_letters \
         WHERE id = ANY($1) AND blocks ORDER BY stream_created_at, stream_seq, id FOR NO KEY UPDATE",
    )
    .bind(ids)
    .fetch_all(connection)
    .await?;
    Ok(letters)
}

async fn write(connection: &mut PgConnection, letters: &[Letter], nexts: &[Next]) -> Result<()> {
    let closed = letters
        .iter()
        .zip(nexts)
        .filter(|(_, next)| matches!(next, Next::Closed));
    let closed: Vec<Uuid> = closed.map(|(letter, _)| letter.id).collect();
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
    .bind(updates.iter().map(|update| update.id).collect::<Vec<_>>())
    .bind(updates.iter().map(|update| update.cause.class().as_str()).collect::<Vec<_>>())
    .bind(updates.iter().map(|update| update.cause.code()).collect::<Vec<_>>())
    .bind(updates.iter().map(|update| update.cause.to_string()).collect::<Vec<_>>())
    .bind(attempts)
    .bind(updates.iter().map(|update| update.wait).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(())
}
