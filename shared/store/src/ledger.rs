//! The one writer of the books, used by REST (a batch of one) and by ingest (a batch of many).
//!
//! Owns: claiming event ids, locking accounts in id order, folding the pure ledger over a batch, and writing postings,
//! logs, holds and balances in constant SQL, a few statements a batch whatever its size. Must not know: HTTP, NATS, who
//! commits. Everything happens in the caller's transaction; whoever calls ends it with [`assert_fresh`].

mod claim;
mod entry;
mod from_event;
mod load;
mod waiting;
mod write;

pub use claim::{Claims, claim_dead, outcomes_of};
pub use entry::{Applied, Batch, Claim, Entry, Outcome, Source};
pub use from_event::{FromEvent, Origin, from_event};
pub use load::PARTIES;
pub use waiting::{Key, Waiting};

use crate::error::Result;
use chrono::{DateTime, Utc};
use load::Parties;
use sqlx::PgConnection;
use tiris_domain::ids::{AccountId, IdSequence, LogId, TransactionId};
use tiris_domain::ledger::{self, Book};

/// Applies `entries` in order inside the caller's transaction; none waits for another. `seed` is random, for the row
/// ids.
///
/// # Errors
/// Only trouble of the database; what the ledger refuses is an outcome.
pub async fn apply_batch(
    connection: &mut PgConnection,
    entries: &[Entry],
    seed: u64,
) -> Result<Batch> {
    apply(connection, entries, Claims::New, None, seed).await
}

/// Like [`apply_batch`] for events, which keep their order behind those that wait to be tried again: an entry whose
/// key waits is not tried, and one that cannot be resolved yet makes its key wait for the rest of the batch.
pub async fn apply_events(
    connection: &mut PgConnection,
    entries: &[Entry],
    claims: Claims,
    waiting: Waiting,
    seed: u64,
) -> Result<Batch> {
    apply(connection, entries, claims, Some(waiting), seed).await
}

async fn apply(
    connection: &mut PgConnection,
    entries: &[Entry],
    claims: Claims,
    mut waiting: Option<Waiting>,
    seed: u64,
) -> Result<Batch> {
    let mut outcomes = claims.take(connection, entries).await?;
    let open = |outcomes: &[Option<Outcome>]| -> Vec<usize> {
        (0..entries.len())
            .filter(|at| outcomes[*at].is_none())
            .collect()
    };
    let fresh = open(&outcomes);
    let mut book = load::lock_accounts(connection, fresh.iter().map(|at| &entries[*at])).await?;
    load::holds(connection, &mut book, fresh.iter().map(|at| &entries[*at])).await?;
    let (parties, timestamp) =
        load::parties(connection, fresh.iter().map(|at| &entries[*at])).await?;
    let mut ids = IdSequence::new(timestamp, seed);
    for at in fresh {
        let entry = &entries[at];
        outcomes[at] = Some(match &mut waiting {
            Some(waiting) if waiting.holds(entry) => Outcome::Behind,
            Some(waiting) => {
                let outcome = fold(&mut book, &parties, entry, &mut ids);
                waiting.note(at, entry, &outcome);
                outcome
            }
            None => fold(&mut book, &parties, entry, &mut ids),
        });
    }
    let outcomes: Vec<Outcome> = outcomes.into_iter().flatten().collect();
    write::all(connection, timestamp, entries, &outcomes).await?;
    Ok(Batch {
        timestamp,
        outcomes,
    })
}

fn fold(book: &mut Book, parties: &Parties, entry: &Entry, ids: &mut IdSequence) -> Outcome {
    let decision = parties
        .check(book, entry)
        .and_then(|()| ledger::apply(book, entry.user, entry.trading, &entry.command));
    match decision {
        Err(rejection) => Outcome::Rejected(rejection),
        Ok(effect) => {
            book.commit(&effect);
            let log = LogId(ids.next_id());
            let postings = effect
                .postings
                .iter()
                .map(|posting| (TransactionId(ids.next_id()), posting.clone()))
                .collect();
            Outcome::Applied(Applied {
                log,
                postings,
                effect,
            })
        }
    }
}

/// Every account an entry needs: those of its command and the one its log names.
fn accounts_of(entry: &Entry) -> Vec<AccountId> {
    let mut accounts = entry.command.accounts();
    accounts.extend(entry.sub_account);
    accounts
}

/// The last statement of a transaction that wrote a batch: fails, as something to try again, when the batch's
/// timestamp is more than ten seconds old, because readers of the live stream rely on that.
pub async fn assert_fresh(connection: &mut PgConnection, timestamp: DateTime<Utc>) -> Result<()> {
    sqlx::query("SELECT assert_fresh($1)")
        .bind(timestamp)
        .execute(connection)
        .await?;
    Ok(())
}
