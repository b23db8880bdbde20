//! The state of one account: balance, sequence and holds.

use super::names::{Asset, OrderId, Pair};
use crate::ids::{AccountId, TradingId, UserId};
use crate::money::Money;
use chrono::{DateTime, Utc};
use std::collections::BTreeMap;

/// A hold of an account, by its order.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HoldKey {
    /// The order; `None` is the unnamed hold.
    pub order: Option<OrderId>,
    /// The pair of the order; `None` for locks that named no pair.
    pub pair: Option<Pair>,
}

impl HoldKey {
    pub(super) fn new(order: Option<&OrderId>, pair: Option<&Pair>) -> Self {
        Self {
            order: order.cloned(),
            pair: pair.cloned(),
        }
    }
}

/// What a hold locks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// The locked amount.
    pub amount: Money,
    /// When the hold is released by itself; `None` for never.
    pub expires_at: Option<DateTime<Utc>>,
}

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
    pub holds: BTreeMap<HoldKey, Held>,
}

impl Account {
    /// Returns its figures alone.
    pub(super) fn without_holds(&self) -> Self {
        Self {
            id: self.id,
            user: self.user,
            trading: self.trading,
            asset: self.asset.clone(),
            balance: self.balance,
            locked: self.locked,
            sequence: self.sequence,
            holds: BTreeMap::new(),
        }
    }

    /// Returns a hold; zero when there is none.
    #[must_use]
    pub fn hold(&self, key: &HoldKey) -> Money {
        self.held(key).amount
    }

    /// Returns a hold with its expiry; zero when there is none.
    #[must_use]
    pub fn held(&self, key: &HoldKey) -> Held {
        self.holds.get(key).copied().unwrap_or_default()
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
