//! What the writer is asked to do, entry by entry, and what it answers.
//!
//! Owns: the types. Must not know: SQL, order, whose turn it is.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use tiris_domain::ids::{AccountId, LogId, TradingId, TransactionId, UserId};
use tiris_domain::ledger::{Command, Effect, OrderId, Posting, Rejection};

pub use tiris_domain::states::LogSource as Source;

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
    /// An earlier event of its trading waits to be tried again, and this one waits behind it; its claim is marked dead.
    Behind,
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

impl Batch {
    /// Those of `entries`, of which this batch is, that it applied.
    pub fn applied<'a>(&'a self, entries: &'a [Entry]) -> impl Iterator<Item = &'a Entry> {
        let both = entries.iter().zip(&self.outcomes);
        both.filter(|(_, outcome)| matches!(outcome, Outcome::Applied(_)))
            .map(|(entry, _)| entry)
    }
}
