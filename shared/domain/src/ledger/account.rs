//! The state of one account: balance, sequence and holds.

use super::names::{Asset, OrderId};
use crate::ids::{AccountId, TradingId, UserId};
use crate::money::Money;
use std::collections::BTreeMap;

/// A sub-account in the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The id of the sub-account.
    pub id: AccountId,
    /// The owner.
    pub user: UserId,
    /// The trading it belongs to.
    pub trading: TradingId,
    /// The asset of its balance.
    pub asset: Asset,
    /// The balance, including held amounts.
    pub balance: Money,
    /// The sum of all holds, including those not loaded.
    pub locked: Money,
    /// The number of its last posting; 0 without postings.
    pub sequence: i64,
    /// The holds that commands of the batch can change; a missing hold is zero.
    pub holds: BTreeMap<Option<OrderId>, Money>,
}

impl Account {
    /// Returns the hold of an order; zero when it has none.
    #[must_use]
    pub fn hold(&self, order: Option<&OrderId>) -> Money {
        self.holds.get(&order.cloned()).copied().unwrap_or_default()
    }

    /// Returns `balance - locked`.
    #[must_use]
    pub const fn available(&self) -> Money {
        match self.balance.checked_sub(self.locked) {
            Some(available) => available,
            // The table's constraint and every effect ensure 0 <= locked <= balance.
            None => Money::ZERO,
        }
    }
}
