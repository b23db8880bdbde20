//! Groups postings into activities: trades, fees, and flows into or out of the trading.
//!
//! A trade is what one order, or one trading log without an order, exchanged at one moment ([`group`]): all its legs,
//! netted by asset ([`net`]), so that neither their order nor their number matters. A posting with one of the reasons in
//! [`FEES`] is a fee, part of the trade of its order or log if there is one. Any other posting is a flow: it changes the
//! capital and is no gain or loss.

mod group;
mod net;

use super::exact::Exact;
use crate::ledger::{Asset, Direction, OrderId};
use crate::money::Money;
use chrono::{DateTime, Utc};
use group::{Scope, groups};
use net::activities;
use uuid::Uuid;

/// Maximum number of postings of one moment that are grouped by order, because they are in memory until the moment ends.
/// With any more, each trading log of the moment is on its own: fills are single trades, and movements are flows.
const POSTINGS_OF_ORDERS_MAX: usize = 50_000;
/// The reasons of fees, in any case. A credit with one of them is a rebate or received funding: a negative fee.
const FEES: [&str; 5] = ["commission", "fee", "fees", "funding", "rebate"];
/// The reasons of movements by users, which are flows even if they name an order.
const BY_USERS: [&str; 2] = ["deposit", "withdraw"];

/// A change of one balance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Posting {
    /// The event time.
    pub time: DateTime<Utc>,
    /// The asset of the balance.
    pub asset: Asset,
    /// Credit or debit.
    pub direction: Direction,
    /// The amount, above zero.
    pub amount: Money,
    /// The reason of the posting.
    pub reason: String,
    /// The asset in which the posting has a price, for a leg of a fill.
    pub quote: Option<Asset>,
    /// The fee within the amount, for a leg of a fill.
    pub fee: Option<Money>,
    /// The order of the posting, if any.
    pub order: Option<OrderId>,
    /// The trading log, which the legs of a fill share.
    pub log: Uuid,
}

impl Posting {
    fn is_fee(&self) -> bool {
        let is_reason = |fee: &&str| fee.eq_ignore_ascii_case(&self.reason);

        self.quote.is_none() && FEES.iter().any(is_reason)
    }

    /// Returns the order that the posting is part of.
    fn traded_order(&self) -> Option<&OrderId> {
        let is_by_user = BY_USERS.contains(&self.reason.as_str());

        self.order.as_ref().filter(|_| !is_by_user)
    }

    /// Returns the traded asset and the asset of its price, if the posting is the stock leg of a fill.
    fn market(&self) -> Option<(&Asset, &Asset)> {
        let quote = self.quote.as_ref()?;

        (self.asset != *quote).then_some((&self.asset, quote))
    }
}

/// A change of a holding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) asset: Asset,
    /// The signed amount.
    pub(super) amount: Exact,
    /// The fee within the amount: added to an outgoing one, deducted from an incoming one.
    pub(super) fee: Exact,
}

impl Change {
    /// Returns the signed amount without the fee.
    pub(super) fn exchanged(&self) -> Exact {
        self.amount.plus(&self.fee)
    }
}

/// An exchange of one asset for another, with amounts of opposite signs that are not zero.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SettledTrade {
    /// The change of the traded asset.
    pub(super) stock: Change,
    /// The change of the asset that pays for it.
    pub(super) currency: Change,
    /// The changes by fees with postings of their own, one for each asset; a rebate is positive.
    pub(super) fees: Vec<Change>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Activity {
    Trade(Box<SettledTrade>),
    /// A cost if negative, otherwise a gain without a trade.
    Fee(Change),
    Flow(Change),
}

/// Groups the postings of one moment, in the order of their booking.
#[derive(Debug)]
pub(super) struct Settler {
    /// The asset of all figures; movements between it and another asset are a trade of the other one.
    measure: Asset,
    /// Postings that later ones can belong to.
    waiting: Vec<Posting>,
    /// The number of postings of the moment.
    count: usize,
    /// Whether any of them names an order.
    has_order: bool,
}

impl Settler {
    pub(super) fn new(measure: Asset) -> Self {
        Self {
            measure,
            waiting: Vec::new(),
            count: 0,
            has_order: false,
        }
    }

    /// Adds the next posting of a moment and returns the activities that it completes. The postings of a trading log
    /// are adjacent.
    pub(super) fn push(&mut self, posting: Posting) -> Vec<Activity> {
        self.count += 1;
        self.has_order |= posting.traded_order().is_some();

        let last = self.waiting.last();
        let is_next_log = last.is_some_and(|last| last.log != posting.log);
        let complete = match self.scope() {
            Scope::Log if is_next_log => self.settle(),
            Scope::Log | Scope::Order => Vec::new(),
        };

        self.waiting.push(posting);
        complete
    }

    /// Ends the moment and returns the remaining activities.
    pub(super) fn end(&mut self) -> Vec<Activity> {
        let complete = self.settle();
        self.count = 0;
        self.has_order = false;
        complete
    }

    /// Returns the scope for the whole moment: before the limit is exceeded, nothing of an order is settled.
    const fn scope(&self) -> Scope {
        if self.has_order && self.count <= POSTINGS_OF_ORDERS_MAX {
            Scope::Order
        } else {
            Scope::Log
        }
    }

    fn settle(&mut self) -> Vec<Activity> {
        let groups = groups(std::mem::take(&mut self.waiting), self.scope());
        let activities = groups
            .iter()
            .flat_map(|group| activities(group, &self.measure));

        activities.collect()
    }
}
