//! The one writer of the books, used by REST (a batch of one) and by ingest (a batch of many).
//!
//! Owns: claiming event ids, locking accounts in id order, folding the pure ledger over a batch, and writing postings,
//! logs, holds and balances in constant SQL, a few statements a batch whatever its size. Must not know: HTTP, NATS, who
//! commits. Everything happens in the caller's transaction; whoever calls ends it with [`assert_fresh`].

mod claim;
mod load;
mod write;

use crate::error::Result;
use crate::ids::{AccountId, IdSequence, LogId, TradingId, TransactionId, UserId};
use crate::ledger::{self, Book, Command, Effect, OrderId, Posting, Rejection};
use chrono::{DateTime, Utc};
use load::Parties;
use serde_json::{Map, Value};
use sqlx::PgConnection;

/// Who wrote a trading log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A person, over REST.
    Manual,
    /// A bot.
    Bot,
}

impl Source {
    /// As stored and sent.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Manual => "manual",
            Self::Bot => "bot",
        }
    }
}

/// The claim on an event id: whoever inserts it first applies the event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Unique per user.
    pub event_id: String,
    /// Tells a duplicate from a reused id.
    pub content_hash: [u8; 16],
    /// The stream it came by.
    pub stream: String,
    /// Its number there.
    pub stream_seq: i64,
}

/// One command with what its trading log says.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Whose books.
    pub user: UserId,
    /// Which trading.
    pub trading: TradingId,
    /// The account the log names; it must exist and belong to the trading.
    pub sub_account: Option<AccountId>,
    /// What the ledger is asked to do.
    pub command: Command,
    /// Present for events; absent for REST calls, which are deduplicated by idempotency key.
    pub claim: Option<Claim>,
    /// Type of the log, 1 to 50 characters.
    pub log_type: String,
    /// Who wrote it.
    pub source: Source,
    /// The order it is about.
    pub order: Option<OrderId>,
    /// When it happened, by the caller; absent means now.
    pub event_time: Option<DateTime<Utc>>,
    /// What it says in words.
    pub message: String,
    /// Free JSON of the log and its postings; differences found by the ledger join it under `drift` for events.
    pub info: Map<String, Value>,
}

/// What became of an entry.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// It is in the books.
    Applied(Applied),
    /// Its event was processed before, with equal content.
    Duplicate,
    /// Its event id was used before, with other content.
    Reused,
    /// The ledger refuses it; its claim, if any, is marked dead.
    Rejected(Rejection),
}

/// An entry that is in the books.
#[derive(Clone, Debug)]
pub struct Applied {
    /// Its trading log.
    pub log: LogId,
    /// Its postings with their ids, in order.
    pub postings: Vec<(TransactionId, Posting)>,
    /// The whole effect, with the new account states.
    pub effect: Effect,
}

/// What a batch did.
#[derive(Debug)]
pub struct Batch {
    /// The `timestamp` of every row it wrote.
    pub timestamp: DateTime<Utc>,
    /// One outcome per entry, in order.
    pub outcomes: Vec<Outcome>,
}

/// Applies `entries` in order inside the caller's transaction. `seed` is random, for the row ids.
///
/// # Errors
/// Only trouble of the database; what the ledger refuses is an outcome.
pub async fn apply_batch(connection: &mut PgConnection, entries: &[Entry], seed: u64) -> Result<Batch> {
    let mut outcomes = claim::claim(connection, entries).await?;
    let open = |outcomes: &[Option<Outcome>]| -> Vec<usize> {
        (0..entries.len()).filter(|at| outcomes[*at].is_none()).collect()
    };
    let fresh = open(&outcomes);
    let mut book = load::lock_accounts(connection, fresh.iter().map(|at| &entries[*at])).await?;
    load::holds(connection, &mut book, fresh.iter().map(|at| &entries[*at])).await?;
    let parties = load::parties(connection, fresh.iter().map(|at| &entries[*at])).await?;
    // A statement of its own after the locks: a clock read in the locking statement would be from before the wait.
    let timestamp: DateTime<Utc> =
        sqlx::query_scalar("SELECT clock_timestamp()").fetch_one(&mut *connection).await?;
    let mut ids = IdSequence::new(timestamp, seed);
    for at in fresh {
        outcomes[at] = Some(fold(&mut book, &parties, &entries[at], &mut ids));
    }
    let outcomes: Vec<Outcome> = outcomes.into_iter().flatten().collect();
    write::all(connection, timestamp, entries, &outcomes).await?;
    Ok(Batch { timestamp, outcomes })
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
            Outcome::Applied(Applied { log, postings, effect })
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
    sqlx::query("SELECT assert_fresh($1)").bind(timestamp).execute(connection).await?;
    Ok(())
}
