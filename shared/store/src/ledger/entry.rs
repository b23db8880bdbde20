//! What the ledger is asked to do, entry by entry.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use tiris_domain::ids::{AccountId, TradingId, UserId};
use tiris_domain::lane::EventStream;
use tiris_domain::ledger::{Command, OrderId};
use uuid::Uuid;

pub use tiris_domain::states::LogSource as Source;

/// The claim on an event id: the first insert applies the event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Unique per user.
    pub event_id: String,
    /// Distinguishes a duplicate from a reused id.
    pub content_hash: [u8; 16],
    /// The stream it came by.
    pub stream: EventStream,
    /// Its number there.
    pub stream_seq: u64,
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

/// Events of one user and trading keep their order.
pub type Key = (UserId, TradingId);

/// An event by its user and id.
pub type EventKey = (Uuid, String);

impl Entry {
    /// Whose order the entry keeps.
    #[must_use]
    pub const fn key(&self) -> Key {
        (self.user, self.trading)
    }

    /// The event the entry is of, when it is of one.
    #[must_use]
    pub fn event_key(&self) -> Option<EventKey> {
        let claim = self.claim.as_ref()?;
        Some((self.user.0, claim.event_id.clone()))
    }

    /// Every account it needs: those of its command and the one its log names.
    pub(crate) fn accounts(&self) -> Vec<AccountId> {
        let mut accounts = self.command.accounts();
        accounts.extend(self.sub_account);
        accounts
    }
}
