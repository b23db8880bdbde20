//! Entries: commands to the ledger, with what their trading logs record.

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
    /// The stream that delivered the event.
    pub stream: EventStream,
    /// Sequence of the event in the stream.
    pub stream_seq: u64,
}

/// A command with the content of its trading log.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Owner of the books.
    pub user: UserId,
    /// The trading whose accounts the command may change.
    pub trading: TradingId,
    /// The account the log names; it must exist and belong to the trading.
    pub sub_account: Option<AccountId>,
    /// The change of the books.
    pub command: Command,
    /// Present for events; absent for REST calls, which are deduplicated by idempotency key.
    pub claim: Option<Claim>,
    /// Type of the log, 1 to 50 characters.
    pub log_type: String,
    /// Author of the log.
    pub source: Source,
    /// The order that the log is about.
    pub order: Option<OrderId>,
    /// Time of the event by the caller's clock; absent means now.
    pub event_time: Option<DateTime<Utc>>,
    /// Text of the log.
    pub message: String,
    /// Free JSON of the log, and of its postings without what bots add; differences found by the ledger join it under `drift`.
    pub info: Map<String, Value>,
}

/// Events of a user with a common key are applied in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// A sub-account that an event names, whether it exists or not.
    Account(UserId, AccountId),
    /// All events of a trading: the key of dead letters of an earlier version, which stored no accounts.
    Trading(UserId, TradingId),
}

/// An event by its user and id.
pub type EventKey = (Uuid, String);

impl Entry {
    /// Returns the keys that make the entry wait behind an earlier one.
    pub fn keys(&self) -> impl Iterator<Item = Key> + '_ {
        let trading = Key::Trading(self.user, self.trading);
        self.account_keys().chain(std::iter::once(trading))
    }

    /// Returns the keys that make later entries wait behind this one.
    pub(super) fn account_keys(&self) -> impl Iterator<Item = Key> + '_ {
        let accounts = self.accounts().into_iter();
        accounts.map(|account| Key::Account(self.user, account))
    }

    /// Returns the user and id of the entry's event, if it has one.
    #[must_use]
    pub fn event_key(&self) -> Option<EventKey> {
        Some((self.user.0, self.event_id()?.to_owned()))
    }

    pub(crate) fn event_id(&self) -> Option<&str> {
        Some(&self.claim.as_ref()?.event_id)
    }

    pub(super) fn order_id(&self) -> Option<&str> {
        self.order.as_ref().map(OrderId::as_str)
    }

    /// Returns every account the entry needs, once: those of its command and the one its log names.
    #[must_use]
    pub fn accounts(&self) -> Vec<AccountId> {
        let mut accounts = self.command.accounts();
        accounts.extend(self.sub_account);
        accounts.sort_unstable();
        accounts.dedup();
        accounts
    }
}
