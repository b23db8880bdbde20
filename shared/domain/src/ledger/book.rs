//! The accounts and orders of a batch.

use super::account::{Account, Held, HoldKey};
use super::effect::Effect;
use super::names::{OrderId, Pair};
use super::order::Order;
use crate::ids::{AccountId, TradingId};
use crate::money::Money;
use std::collections::{BTreeMap, BTreeSet};

/// The accounts of a batch, without deleted ones, and the orders that its commands name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Book {
    accounts: BTreeMap<AccountId, Account>,
    of_trading: BTreeMap<TradingId, BTreeSet<AccountId>>,
    /// The orders of each id by pair.
    orders: BTreeMap<(TradingId, OrderId), BTreeMap<Option<Pair>, Order>>,
}

impl Book {
    /// Inserts an account or replaces its state.
    pub fn insert(&mut self, account: Account) {
        let of_trading = self.of_trading.entry(account.trading).or_default();
        of_trading.insert(account.id);
        self.accounts.insert(account.id, account);
    }

    /// Inserts a hold of an account or replaces its state; without an amount it is removed.
    pub fn insert_hold(&mut self, id: AccountId, key: HoldKey, held: Held) {
        let Some(account) = self.accounts.get_mut(&id) else {
            return;
        };

        if held.amount == Money::ZERO {
            account.holds.remove(&key);
        } else {
            account.holds.insert(key, held);
        }
    }

    /// Inserts an order or replaces its state. One with a pair takes the place of the order without a pair.
    pub fn insert_order(&mut self, order: Order) {
        let key = (order.key.trading, order.key.id.clone());
        let orders = self.orders.entry(key).or_default();

        orders.remove(&None);
        orders.insert(order.key.pair.clone(), order);
    }

    /// Returns the orders of an id, one for each pair.
    pub fn orders<'a>(
        &'a self,
        trading: TradingId,
        id: &OrderId,
    ) -> impl Iterator<Item = &'a Order> + Clone + use<'a> {
        let orders = self.orders.get(&(trading, id.clone()));
        orders.into_iter().flat_map(BTreeMap::values)
    }

    /// Returns the ids of the accounts of a trading.
    pub(super) fn accounts_of(&self, trading: TradingId) -> impl Iterator<Item = AccountId> + '_ {
        let accounts = self.of_trading.get(&trading);
        accounts.into_iter().flatten().copied()
    }

    /// Returns an account; `None` when it does not exist or is deleted.
    #[must_use]
    pub fn get(&self, id: AccountId) -> Option<&Account> {
        self.accounts.get(&id)
    }

    /// Returns all accounts, ordered by id.
    pub fn accounts(&self) -> impl Iterator<Item = &Account> {
        self.accounts.values()
    }

    /// Applies an effect, which must come from [`super::apply`] on this state of the book.
    pub fn commit(&mut self, effect: &Effect) {
        for changed in &effect.accounts {
            if let Some(account) = self.accounts.get_mut(&changed.id) {
                account.balance = changed.balance;
                account.locked = changed.locked;
                account.sequence = changed.sequence;
            }
        }
        for change in &effect.holds {
            self.insert_hold(change.account, change.key.clone(), change.held);
        }
        for order in &effect.orders {
            self.insert_order(order.clone());
        }
    }
}
