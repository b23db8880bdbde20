//! The ledger entry of what a new sub-account starts with.

use chrono::DateTime;
use serde_json::Map;
use tiris_domain::ledger::{Belief, Command, Direction, Movement};
use tiris_domain::value::{Amount, Moment};
use tiris_store::ledger::{Entry, Source};
use tiris_store::sub_accounts::NewSubAccount;

/// What a new sub-account starts with.
pub(in crate::routes) struct InitialDeposit {
    pub(in crate::routes) amount: Amount,
    /// When it came in, when that is not now.
    pub(in crate::routes) event_time: Option<Moment>,
}

impl InitialDeposit {
    /// The entry to book; `None` when the account starts empty.
    pub(in crate::routes) fn entry(&self, account: &NewSubAccount) -> Option<Entry> {
        if self.amount.0.is_zero() {
            return None;
        }
        let movement = Movement {
            account: account.id,
            asset: account.symbol.clone(),
            direction: Direction::Credit,
            amount: self.amount.0.clone(),
            order: None,
            reason: "deposit".to_owned(),
            belief: Belief::default(),
        };

        Some(Entry {
            user: account.user,
            trading: account.trading,
            sub_account: Some(account.id),
            command: Command::Move(movement),
            claim: None,
            log_type: "deposit".to_owned(),
            source: Source::Manual,
            order: None,
            event_time: self.event_time.map(DateTime::from),
            message: "initial deposit".to_owned(),
            info: Map::new(),
        })
    }
}
