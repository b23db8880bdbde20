//! The state the ledger works on: accounts with balance, sequence and holds.

use super::command::Asset;
use super::decide::Effect;
use crate::ids::{AccountId, TradingId, UserId};
use crate::money::Money;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// An order id: 1 to 128 characters. The unnamed hold is `None` wherever an order is optional.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrderId(String);

/// Longest order id, in characters; a longer one would break an index.
pub const ORDER_ID_LENGTH_MAX: usize = 128;

impl FromStr for OrderId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if (1..=ORDER_ID_LENGTH_MAX).contains(&text.chars().count()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!("must have 1 to {ORDER_ID_LENGTH_MAX} characters"))
        }
    }
}

impl OrderId {
    /// The id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for OrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

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

/// The new amount of one hold; zero removes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HoldChange {
    /// The account.
    pub account: AccountId,
    /// The order; `None` is the unnamed hold.
    pub order: Option<OrderId>,
    /// What is held now.
    pub amount: Money,
}

/// The accounts a batch works on. Deleted accounts and accounts that do not exist are absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Book {
    accounts: BTreeMap<AccountId, Account>,
}

impl Book {
    /// Puts an account in, replacing an earlier state of it.
    pub fn insert(&mut self, account: Account) {
        self.accounts.insert(account.id, account);
    }

    /// The account, when it exists and lives.
    #[must_use]
    pub fn get(&self, id: AccountId) -> Option<&Account> {
        self.accounts.get(&id)
    }

    /// All accounts by id.
    pub fn accounts(&self) -> impl Iterator<Item = &Account> {
        self.accounts.values()
    }

    /// Makes an effect part of the book. The effect must come from [`super::apply`] on this very state.
    pub fn commit(&mut self, effect: &Effect) {
        for account in &effect.accounts {
            self.accounts.insert(account.id, account.clone());
        }
    }
}
