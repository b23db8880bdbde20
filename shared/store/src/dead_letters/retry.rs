//! The lane's own retries: what could not be resolved is tried again, in order, until it is given up.
//!
//! Owns: one round of retries and what becomes of each letter. Must not know: who owns the lane, when the next round is.

use super::resolve::{self, Actor};
use super::{BEHIND_UNRESOLVED, Cause, Class, queue};
use crate::bots;
use crate::error::Result;
use crate::ledger::{self, Batch, Claims, Entry, FromEvent, Origin, Outcome, Waiting, from_event};
use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use sqlx::postgres::types::PgInterval;
use std::collections::BTreeSet;
use std::time::Duration;
use tiris_domain::event::{self, BareSubjects};
use tiris_domain::ledger::Rejection;
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
    stream: String,
    stream_seq: i64,
    subject: String,
    payload: Vec<u8>,
    broker_time: Option<DateTime<Utc>>,
    code: String,
    attempts: i32,
    age_millis: i64,
}

impl Letter {
    fn age(&self) -> Duration {
        Duration::from_millis(self.age_millis.try_into().unwrap_or(0))
    }

    /// Tries that count when this one fails. One that waited behind others has missed those of its age; one that waited
    /// for its user to be enabled starts anew.
    fn attempts_after(&self) -> i32 {
        if self.code == BEHIND_UNRESOLVED {
            let missed = try_ages().filter(|age| *age <= self.age()).count();
            i32::try_from(missed).unwrap_or(i32::MAX)
        } else if self.code == Rejection::UserDisabled.code() {
            self.attempts
        } else {
            self.attempts.saturating_add(1)
        }
    }

    /// How long it waits when this try fails as well; none when it was the last.
    fn next_wait(&self) -> Option<Duration> {
        let made = usize::try_from(self.attempts_after()).ok()?;
        if self.code == BEHIND_UNRESOLVED {
            return try_ages()
                .nth(made)
                .map(|age| age.saturating_sub(self.age()));
        }
        RETRY_WAITS.get(made).copied()
    }
}

/// What becomes of a letter.
enum Fate {
    /// It is in the books.
    Applied,
    /// It stays as it is.
    Behind,
    /// It is tried again after the wait, or waits for the user to be enabled.
    Again(Cause, Option<Duration>),
    /// It waits for a person.
    GivenUp(Cause),
}

/// Tries the letters of the lane whose turn it is, at most `limit`, inside the caller's transaction, which holds the
/// lane's row. `seed` is random, for the row ids.
pub async fn retry(
    connection: &mut PgConnection,
    stream: &str,
    lane: i32,
    limit: i64,
    seed: u64,
) -> Result<Retried> {
    let ids = queue::due(connection, stream, lane, limit).await?;
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
    let Some((batch, fates, users)) = attempt(connection, &letters, seed).await? else {
        return Ok(Retried::default());
    };
    write(connection, &letters, &fates).await?;
    let count = |wanted: fn(&Fate) -> bool| {
        u64::try_from(fates.iter().filter(|fate| wanted(fate)).count()).unwrap_or(u64::MAX)
    };
    Ok(Retried {
        tried: count(|_| true),
        applied: count(|fate| matches!(fate, Fate::Applied)),
        given_up: count(|fate| matches!(fate, Fate::GivenUp(_))),
        timestamp: Some(batch.timestamp),
        users,
    })
}

/// Gives letters up, because trying them failed for a reason nobody foresaw.
pub async fn put_aside(connection: &mut PgConnection, ids: &[Uuid], cause: &Cause) -> Result<()> {
    let letters = lock(connection, ids).await?;
    let fates: Vec<Fate> = letters
        .iter()
        .map(|_| Fate::GivenUp(cause.clone()))
        .collect();
    write(connection, &letters, &fates).await
}

async fn lock(connection: &mut PgConnection, ids: &[Uuid]) -> Result<Vec<Letter>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let letters = sqlx::query_as(
        "SELECT id, stream, stream_seq, subject, payload, broker_time, code, attempts, \
         (extract(epoch FROM clock_timestamp() - created_at) * 1000)::bigint AS age_millis FROM dead_letters \
         WHERE id = ANY($1) AND blocks ORDER BY stream_created_at, stream_seq, id FOR NO KEY UPDATE",
    )
    .bind(ids)
    .fetch_all(connection)
    .await?;
    Ok(letters)
}

async fn attempt(
    connection: &mut PgConnection,
    letters: &[Letter],
    seed: u64,
) -> Result<Option<(Batch, Vec<Fate>, BTreeSet<Uuid>)>> {
    if letters.is_empty() {
        return Ok(None);
    }
    let (mut entries, mut beats, mut waiting) =
        (Vec::<Entry>::new(), Vec::new(), Waiting::default());
    let mut fates: Vec<Option<Fate>> = Vec::with_capacity(letters.len());
    for letter in letters {
        // What became a letter of this kind was let in by its subject then.
        let event = match event::parse(&letter.subject, &letter.payload, BareSubjects::Accept) {
            Ok(event) => event,
            Err(malformed) => {
                fates.push(Some(Fate::GivenUp(Cause::from(&*malformed))));
                continue;
            }
        };
        let origin = Origin {
            stream: &letter.stream,
            stream_seq: letter.stream_seq,
            broker_time: letter.broker_time,
        };
        match from_event(event, &origin) {
            FromEvent::Beat(beat) => {
                beats.push(*beat);
                fates.push(Some(Fate::Applied));
            }
            FromEvent::Entry(entry) => {
                if letter.next_wait().is_none() {
                    waiting.last_tries.insert(entries.len());
                }
                entries.push(*entry);
                fates.push(None);
            }
        }
    }
    let batch = ledger::apply_events(connection, &entries, Claims::Again, waiting, seed).await?;
    bots::keep_latest(connection, &beats).await?;
    let applied = entries
        .iter()
        .zip(&batch.outcomes)
        .filter(|(_, outcome)| matches!(outcome, Outcome::Applied(_)));
    let users = applied.map(|(entry, _)| entry.user.0).collect();
    let mut outcomes = batch.outcomes.iter();
    let fates = letters
        .iter()
        .zip(fates)
        .filter_map(|(letter, known)| {
            known.or_else(|| outcomes.next().map(|outcome| fate(letter, outcome)))
        })
        .collect();
    Ok(Some((batch, fates, users)))
}

fn fate(letter: &Letter, outcome: &Outcome) -> Fate {
    match outcome {
        // Somebody else applied the same event meanwhile.
        Outcome::Applied(_) | Outcome::Duplicate => Fate::Applied,
        Outcome::Behind => Fate::Behind,
        Outcome::Reused => Fate::GivenUp(Cause::event_id_reused()),
        Outcome::Rejected(rejection) => {
            let cause = Cause::from(*rejection);
            match (cause.class, letter.next_wait()) {
                (Class::Unresolved, _) if *rejection == Rejection::UserDisabled => {
                    Fate::Again(cause, None)
                }
                (Class::Unresolved, Some(wait)) => Fate::Again(cause, Some(wait)),
                (Class::Unresolved, None) | (Class::Rejected | Class::Malformed, _) => {
                    Fate::GivenUp(cause)
                }
            }
        }
    }
}

async fn write(connection: &mut PgConnection, letters: &[Letter], fates: &[Fate]) -> Result<()> {
    let applied: Vec<Uuid> = letters
        .iter()
        .zip(fates)
        .filter(|(_, fate)| matches!(fate, Fate::Applied))
        .map(|(letter, _)| letter.id)
        .collect();
    resolve::close_replayed(connection, &applied, &Actor::Lane).await?;
    let (mut ids, mut classes, mut codes, mut reasons, mut attempts, mut waits) = (
        Vec::new(),
        Vec::new(),
        Vec::new(),
        Vec::new(),
        Vec::new(),
        Vec::new(),
    );
    for (letter, fate) in letters.iter().zip(fates) {
        let (cause, wait) = match fate {
            Fate::Applied => continue,
            Fate::Behind if letter.code == BEHIND_UNRESOLVED => continue,
            Fate::Behind => (Cause::behind_unresolved(), None),
            Fate::Again(cause, wait) => (cause.clone(), *wait),
            Fate::GivenUp(cause) => (cause.clone(), None),
        };
        let made = if matches!(fate, Fate::Behind) {
            letter.attempts
        } else {
            letter.attempts_after()
        };
        ids.push(letter.id);
        classes.push(cause.class.as_str());
        codes.push(cause.code);
        reasons.push(cause.reason);
        attempts.push(made);
        waits.push(wait.map(interval));
    }
    if ids.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "UPDATE dead_letters d SET class = n.class, code = n.code, reason = n.reason, attempts = n.attempts, \
         next_attempt_at = clock_timestamp() + n.wait, updated_at = clock_timestamp() \
         FROM UNNEST($1::uuid[], $2::text[], $3::text[], $4::text[], $5::int[], $6::interval[]) \
         AS n (id, class, code, reason, attempts, wait) WHERE d.id = n.id",
    )
    .bind(ids)
    .bind(classes)
    .bind(codes)
    .bind(reasons)
    .bind(attempts)
    .bind(waits)
    .execute(connection)
    .await?;
    Ok(())
}

fn interval(wait: Duration) -> PgInterval {
    let microseconds = i64::try_from(wait.as_micros()).unwrap_or(i64::MAX);
    PgInterval {
        months: 0,
        days: 0,
        microseconds,
    }
}
