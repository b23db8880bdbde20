//! The one writer of the books, used by REST (a batch of one) and by ingest (a batch of many).
//!
//! It claims event ids, locks orders and accounts in id order, folds the pure ledger over a batch, and writes postings, logs, holds
//! and balances in constant SQL, a few statements per batch whatever its size. Everything happens in the caller's
//! transaction, which ends with [`assert_fresh`].

mod cause;
mod claim;
mod disposition;
mod entry;
mod expiry;
mod load;
mod orders;
mod waiting;
mod work;
mod write;

pub use cause::Cause;
pub use claim::{ClaimState, Claims, claim_dead, claim_states};
pub use disposition::{Applied, Batch, Disposition};
pub use entry::{Claim, Entry, EventKey, Key, Source};
pub use expiry::{Expired, release_expired, tradings_with_expired_holds};
pub use load::PARTIES;
pub use waiting::Waiting;
pub use work::{Names, Origin, Work};

use crate::bots;
use crate::error::Result;
use chrono::{DateTime, Utc};
use load::{Parties, lock};
use sqlx::PgConnection;
use tiris_domain::ids::{IdSequence, LogId, TransactionId};
use tiris_domain::ledger::{self, Book};

/// Applies messages in order inside the caller's transaction. An event is deferred when one of its accounts waits; then,
/// and when it cannot be resolved yet, its accounts wait for the rest of the batch. `seed` is random, for the row ids.
///
/// # Errors
/// Only failures of the database; a refusal by the ledger is a disposition.
pub async fn apply<T: AsRef<Work> + Sync>(
    connection: &mut PgConnection,
    items: &[T],
    claims: Claims,
    waiting: Waiting,
    seed: u64,
) -> Result<Batch> {
    let mut entries = Vec::with_capacity(items.len());
    let mut heartbeats = Vec::new();
    for item in items {
        match item.as_ref() {
            Work::Entry(entry) => entries.push(&**entry),
            Work::Heartbeat(heartbeat) => heartbeats.push(&**heartbeat),
            Work::Malformed(_) => {}
        }
    }

    let booked = fold(connection, &entries, claims, Some(waiting), seed).await?;
    bots::upsert_latest(connection, &heartbeats).await?;

    let mut of_entries = booked.dispositions.into_iter();
    let dispositions = items.iter().filter_map(|item| match item.as_ref() {
        Work::Entry(_) => of_entries.next(),
        Work::Heartbeat(_) => Some(Disposition::Recorded),
        Work::Malformed(malformed) => {
            Some(Disposition::DeadLetter(Cause::Malformed(malformed.clone())))
        }
    });
    Ok(Batch {
        timestamp: booked.timestamp,
        dispositions: dispositions.collect(),
    })
}

/// Like [`apply`] for new entries that do not wait for each other.
///
/// # Errors
/// Only failures of the database; a refusal by the ledger is a disposition.
pub async fn apply_batch(
    connection: &mut PgConnection,
    entries: &[Entry],
    seed: u64,
) -> Result<Batch> {
    let entries: Vec<&Entry> = entries.iter().collect();
    fold(connection, &entries, Claims::New, None, seed).await
}

/// Applies entries in order inside the caller's transaction; without `waiting`, none waits for another.
pub(crate) async fn fold(
    connection: &mut PgConnection,
    entries: &[&Entry],
    claims: Claims,
    mut waiting: Option<Waiting>,
    seed: u64,
) -> Result<Batch> {
    let mut dispositions = claims.take(connection, entries).await?;
    let fresh: Vec<usize> = (0..entries.len())
        .filter(|at| dispositions[*at].is_none())
        .collect();
    let fresh_entries = fresh.iter().map(|at| entries[*at]);

    let mut book = lock(connection, fresh_entries.clone()).await?;
    load::holds(connection, &mut book, fresh_entries.clone()).await?;
    let parties = load::parties(connection, &book, fresh_entries).await?;

    let mut ids = IdSequence::new(parties.now, seed);
    for at in fresh {
        let entry = entries[at];
        let disposition = if let Err(rejected) = parties.check_deleted(entry) {
            // However long an earlier event waits, this one can never be applied.
            Disposition::DeadLetter(Cause::Rejected(rejected))
        } else if waiting.as_ref().is_some_and(|waiting| waiting.holds(entry)) {
            Disposition::Deferred
        } else {
            decide(&mut book, &parties, entry, &mut ids)
        };
        if let Some(waiting) = &mut waiting {
            waiting.note(at, entry, &disposition);
        }
        dispositions[at] = Some(disposition);
    }

    let dispositions: Vec<Disposition> = dispositions.into_iter().flatten().collect();
    write::all(connection, parties.now, entries, &dispositions).await?;
    Ok(Batch {
        timestamp: parties.now,
        dispositions,
    })
}

/// Locks the event ids, orders and accounts of `entries` in the order in which [`fold`] does, so that a fold of each of them
/// waits for nothing more. A free event id becomes that of a refused event, which [`Claims::Again`] takes.
pub(crate) async fn lock_all(connection: &mut PgConnection, entries: &[&Entry]) -> Result<Book> {
    let dispositions = Claims::Again.take(connection, entries).await?;
    let taken = entries
        .iter()
        .zip(&dispositions)
        .filter(|(_, disposition)| disposition.is_none());
    let taken: Vec<&Entry> = taken.map(|(entry, _)| *entry).collect();
    claim::mark_dead(connection, &taken).await?;

    lock(connection, entries.iter().copied()).await
}

fn decide(book: &mut Book, parties: &Parties, entry: &Entry, ids: &mut IdSequence) -> Disposition {
    let decision = parties.check(book, entry).and_then(|()| {
        ledger::apply(
            book,
            entry.user,
            entry.trading,
            &entry.command,
            entry.event_time.unwrap_or(parties.now),
        )
    });
    let effect = match decision {
        Ok(effect) => effect,
        Err(rejected) => return Disposition::DeadLetter(Cause::Rejected(rejected)),
    };

    book.commit(&effect);
    let log = LogId(ids.next_id());
    let postings = effect
        .postings
        .iter()
        .map(|posting| (TransactionId(ids.next_id()), posting.clone()))
        .collect();
    Disposition::Applied(Applied {
        log,
        postings,
        effect,
    })
}

/// Fails with a transient error when the batch's timestamp is more than ten seconds old, because readers of the live
/// stream rely on that. The last statement of a transaction that wrote a batch.
///
/// # Errors
/// Failures of the database.
pub async fn assert_fresh(connection: &mut PgConnection, timestamp: DateTime<Utc>) -> Result<()> {
    sqlx::query("SELECT assert_fresh($1)")
        .bind(timestamp)
        .execute(connection)
        .await?;
    Ok(())
}
