//! Orders: what events reported of each, what its fills did, and whether it has ended.

use super::names::{Asset, OrderId, Pair};
use crate::ids::{AccountId, TradingId};
use crate::money::{Money, Number, Price};
use crate::states::{OrderStatus, Side};
use chrono::{DateTime, Utc};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// An order of a trading. Exchanges reuse one id on several pairs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrderKey {
    /// The trading.
    pub trading: TradingId,
    /// The order's id at the exchange.
    pub id: OrderId,
    /// The pair; `None` while only locks without a pair have named the order.
    pub pair: Option<Pair>,
}

/// The terms of an order, as an event reports them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderTerms {
    /// The type, such as `limit`.
    pub kind: String,
    /// The ordered amount of the base asset.
    pub amount: Number,
    /// The limit, if there is one.
    pub price: Option<Number>,
}

/// Returns whether a caller's status of an order says that nothing of it is left, in any ASCII case.
#[must_use]
pub const fn says_filled(status: &str) -> bool {
    status.eq_ignore_ascii_case(OrderStatus::Filled.as_str())
}

/// Accounts that an order remembers, and so may hold something on, at most.
const ORDER_ACCOUNTS_MAX: usize = 20;

/// A step of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderStep {
    /// The order was placed.
    Created,
    /// A part of it was executed.
    Filled {
        /// Whether nothing is left to execute.
        ends: bool,
    },
    /// The order was cancelled.
    Cancelled,
    /// The order failed.
    Failed,
}

/// An order, as its events and fills describe it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// The id of its row; `None` until it is written.
    pub row: Option<Uuid>,
    /// Its number among the orders of its id, from 0. It is unique, so that only one of two transactions that each make
    /// an order of the id, without seeing the other's, can commit.
    pub ordinal: usize,
    /// Trading, id and pair.
    pub key: OrderKey,
    /// Buy or sell; `None` until an event says so.
    pub side: Option<Side>,
    /// The type; `None` until an event says so.
    pub kind: Option<String>,
    /// The ordered amount; `None` when no event gave one that the books can hold.
    pub amount: Option<Money>,
    /// The limit.
    pub price: Option<Price>,
    /// The sum of its fills in the base asset.
    pub filled: Money,
    /// The sum of its fills in the quote asset, without fees.
    pub quote_filled: Money,
    /// The sums of its fees by asset; rebates are below zero.
    pub fees: BTreeMap<Asset, Money>,
    /// The number of its fills.
    pub fills: i32,
    /// The status.
    pub status: OrderStatus,
    /// The accounts that its events named, at most [`ORDER_ACCOUNTS_MAX`].
    pub accounts: BTreeSet<AccountId>,
    /// The last lock for it, until its hold is used up.
    pub last_lock: Option<(AccountId, Money)>,
    /// The earliest time of its events.
    pub first_event_time: DateTime<Utc>,
    /// The latest time of its events.
    pub last_event_time: DateTime<Utc>,
}

impl Order {
    /// Returns an order that no event has described yet.
    #[must_use]
    pub fn new(key: OrderKey, ordinal: usize, at: DateTime<Utc>) -> Self {
        Self {
            row: None,
            ordinal,
            key,
            side: None,
            kind: None,
            amount: None,
            price: None,
            filled: Money::ZERO,
            quote_filled: Money::ZERO,
            fees: BTreeMap::new(),
            fills: 0,
            status: OrderStatus::Unknown,
            accounts: BTreeSet::new(),
            last_lock: None,
            first_event_time: at,
            last_event_time: at,
        }
    }

    /// Extends the times of the events by one.
    pub(super) fn see(&mut self, at: DateTime<Utc>) {
        self.first_event_time = self.first_event_time.min(at);
        self.last_event_time = self.last_event_time.max(at);
    }

    /// Records that an event of the order names an account. Returns false when the order remembers too many others.
    pub(super) fn name_account(&mut self, id: AccountId) -> bool {
        let has_room = self.accounts.len() < ORDER_ACCOUNTS_MAX;
        if has_room {
            self.accounts.insert(id);
        }
        has_room || self.accounts.contains(&id)
    }

    /// Records the terms. The amount of `orders.created` counts; in other events some bots give that of the fill.
    pub(super) fn describe(&mut self, side: Side, terms: &OrderTerms, is_creation: bool) {
        let is_new = |known: bool| is_creation || !known;
        let amount = terms.amount.rounded().to_money();
        // Exchanges report market orders with a price of zero, and orders by value with an amount of zero.
        let price = terms.price.clone().filter(Number::is_positive);

        self.side = Some(side);
        if is_new(self.kind.is_some()) {
            self.kind = Some(terms.kind.clone());
        }
        if is_new(self.amount.is_some()) && amount.is_some_and(Money::is_positive) {
            self.amount = amount;
        }
        if is_new(self.price.is_some()) && price.is_some() {
            self.price = price.map(Price::from);
        }
        if self.status == OrderStatus::Unknown {
            self.status = OrderStatus::Open;
        }
    }

    /// Moves the status on after a step. An order that has ended never opens again.
    pub(super) fn take_step(&mut self, step: OrderStep) {
        let is_full = self.is_full();
        self.status = match (self.status, step) {
            (_, OrderStep::Filled { ends: true }) => OrderStatus::Filled,
            (_, OrderStep::Filled { .. } | OrderStep::Created) if is_full && self.fills > 0 => {
                OrderStatus::Filled
            }
            (ended, _) if ended.has_ended() => ended,
            (_, OrderStep::Cancelled) => OrderStatus::Cancelled,
            (_, OrderStep::Failed) => OrderStatus::Failed,
            (_, OrderStep::Created | OrderStep::Filled { .. }) if self.fills > 0 => {
                OrderStatus::PartiallyFilled
            }
            (_, OrderStep::Created | OrderStep::Filled { .. }) => OrderStatus::Open,
        };
    }

    fn is_full(&self) -> bool {
        self.amount.is_some_and(|amount| self.filled >= amount)
    }

    /// Returns how much more than the ordered amount is filled, if any.
    pub(super) fn excess(&self) -> Option<Money> {
        let excess = self.filled.checked_sub(self.amount?)?;
        excess.is_positive().then_some(excess)
    }

    /// Returns the most that the order can still need of an asset, without fees; `None` when that is unknown.
    pub(super) fn need(&self, asset: &Asset) -> Option<Number> {
        let pair = self.key.pair.as_ref()?;
        let left = self.amount?.checked_sub(self.filled)?;
        let left = if left.is_positive() {
            left
        } else {
            Money::ZERO
        };

        match self.side? {
            Side::Sell if *asset == pair.base => Some(left.into()),
            Side::Buy if *asset == pair.quote => {
                let price = self.price.as_ref()?;
                Some(price.number().times(&left.into()))
            }
            Side::Sell | Side::Buy => None,
        }
    }
}
