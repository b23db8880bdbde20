//! The state of one account: balance, sequence and holds.

use super::names::{Asset, OrderId};
use crate::ids::{AccountId, TradingId, UserId};
use crate::money::Money;
use std::collections::BTreeMap;

/// One sub-account as the ledger sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// Its owner.
    pub user: UserId,
    /// Its trading.
    pub trading: TradingId,
    /// What it holds.
    pub asset: Asset,
    /// All there is, held or not.
    pub balance: Money,
    /// Sum of all holds, also of those not loaded.
    pub locked: Money,
    /// Number of its last posting; 0 when it has none.
    pub sequence: i64,
    /// The holds that commands of this batch can change; absent means nothing is held.
    pub holds: BTreeMap<Option<OrderId>, Money>,
}

impl Account {
    /// What the hold of `order` is; zero when there is none.
    #[must_use]
    pub fn hold(&self, order: Option<&OrderId>) -> Money {
        self.holds.get(&order.cloned()).copied().unwrap_or_default()
    }

    /// `balance - locked`.
    #[must_use]
    pub const fn available(&self) -> Money {
        match self.balance.checked_sub(self.locked) {
            Some(available) => available,
            // 0 <= locked <= balance holds by the table's constraint and by every effect.
            None => Money::ZERO,
        }
    }
}
