//! The accounts and orders of a batch.

use super::account::Account;
use super::effect::Effect;
use super::names::OrderId;
use super::order::Order;
use crate::ids::{AccountId, TradingId};
use std::collections::{BTreeMap, BTreeSet};

/// The accounts of a batch, without deleted ones, and the orders that its commands name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Book {
    accounts: BTreeMap<AccountId, Account>,
    of_trading: BTreeMap<TradingId, BTreeSet<AccountId>>,
    /// The orders of each id, one for each pair.
    orders: BTreeMap<(TradingId, OrderId), Vec<Order>>,
}

impl Book {
    /// Inserts an account or replaces its state.
    pub fn insert(&mut self, account: Account) {
        let of_trading = self.of_trading.entry(account.trading).or_default();
        of_trading.insert(account.id);
        self.accounts.insert(account.id, account);
    }

    /// Inserts an order or replaces its state. One with a pair takes the place of the order without a pair.
    pub fn insert_order(&mut self, order: Order) {
        let key = (order.key.trading, order.key.id.clone());
        let orders = self.orders.entry(key).or_default();

        orders.retain(|other| other.key.pair.is_some() && other.key.pair != order.key.pair);
        orders.push(order);
    }

    /// Returns the orders of an id, one for each pair.
    #[must_use]
    pub fn orders(&self, trading: TradingId, id: &OrderId) -> &[Order] {
        let orders = self.orders.get(&(trading, id.clone()));
        orders.map_or(&[], Vec::as_slice)
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
        for account in &effect.accounts {
            self.accounts.insert(account.id, account.clone());
        }
        for order in &effect.orders {
            self.insert_order(order.clone());
        }
    }
}
