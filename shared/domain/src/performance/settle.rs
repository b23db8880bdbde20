//! Groups postings into activities: trades, fees, and flows into or out of the trading.
//!
//! Postings with a price are the legs of a trade; those of one trading log form one trade, together with its fee. A
//! posting whose reason is `fee` is a fee. Two movements of one order at one time, of different assets and in opposite
//! directions, are a trade that a bot settled leg by leg; their amounts give the price. Any other posting is a flow: it
//! changes the capital and is no gain or loss.

use super::exact::Exact;
use crate::ledger::{Asset, Direction, OrderId};
use crate::money::Money;
use chrono::{DateTime, Utc};
use uuid::Uuid;

/// Maximum number of movements of one time that wait for the other leg of their trade; any more are flows.
const UNPAIRED_MAX: usize = 1_000;
const FEE: &str = "fee";
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
    /// The price of one unit of the base asset, for a leg of a trade.
    pub price: Option<Money>,
    /// The asset of the price.
    pub quote: Option<Asset>,
    /// The fee within the amount.
    pub fee: Option<Money>,
    /// The order of the posting, if any.
    pub order: Option<OrderId>,
    /// The trading log, which the legs of a trade share.
    pub log: Uuid,
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
    fn of(posting: &Posting) -> Self {
        let amount = Exact::from(posting.amount);

        Self {
            asset: posting.asset.clone(),
            amount: match posting.direction {
                Direction::Credit => amount,
                Direction::Debit => amount.negated(),
            },
            fee: posting.fee.map(Exact::from).unwrap_or_default(),
        }
    }

    /// Adds another change of the same asset.
    fn plus(self, other: Self) -> Self {
        Self {
            amount: self.amount.plus(&other.amount),
            fee: self.fee.plus(&other.fee),
            ..self
        }
    }
}

/// A trade with all its legs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SettledTrade {
    /// The traded asset.
    pub(super) base: Asset,
    /// The asset of the price.
    pub(super) quote: Asset,
    /// The price of one unit of `base`.
    pub(super) price: Exact,
    /// The change of `base`; `None` if it rounded to zero.
    pub(super) stock: Option<Change>,
    /// The change of `quote`; `None` if it rounded to zero.
    pub(super) currency: Option<Change>,
    /// The change by a fee with a posting of its own.
    pub(super) fee: Option<Change>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Activity {
    Trade(Box<SettledTrade>),
    Fee(Change),
    Flow(Change),
}

/// Groups the postings of one time, in the order of their booking.
#[derive(Debug)]
pub(super) struct Settler {
    /// The asset of all figures; a trade in two movements against it is a trade of the other asset.
    measure: Asset,
    /// The postings of the current trade.
    legs: Vec<Posting>,
    /// Movements with an order that wait for their other leg.
    unpaired: Vec<Posting>,
}

impl Settler {
    pub(super) fn new(measure: Asset) -> Self {
        Self {
            measure,
            legs: Vec::new(),
            unpaired: Vec::new(),
        }
    }

    /// Adds the next posting of a time and returns the activities that it completes.
    pub(super) fn push(&mut self, posting: Posting) -> Vec<Activity> {
        let mut complete = Vec::new();
        if self.legs.first().is_some_and(|leg| leg.log != posting.log) {
            complete.extend(self.trade());
        }

        if posting.price.is_some() || !self.legs.is_empty() {
            self.legs.push(posting);
        } else if posting.reason == FEE {
            complete.push(Activity::Fee(Change::of(&posting)));
        } else if posting.order.is_none() || BY_USERS.contains(&posting.reason.as_str()) {
            complete.push(Activity::Flow(Change::of(&posting)));
        } else {
            complete.extend(self.pair(posting));
        }
        complete
    }

    /// Pairs a movement with its other leg, or stores it until the other leg is pushed.
    fn pair(&mut self, posting: Posting) -> Option<Activity> {
        let mut unpaired = self.unpaired.iter();

        if let Some(at) = unpaired.position(|other| are_legs(other, &posting)) {
            let other = self.unpaired.remove(at);
            return Some(self.paired_trade(&other, &posting));
        }
        if self.unpaired.len() < UNPAIRED_MAX {
            self.unpaired.push(posting);
            return None;
        }
        Some(Activity::Flow(Change::of(&posting)))
    }

    /// Ends the time and returns the remaining activities.
    pub(super) fn end(&mut self) -> Vec<Activity> {
        let mut complete = self.trade();
        let unpaired = self.unpaired.drain(..);

        complete.extend(unpaired.map(|posting| Activity::Flow(Change::of(&posting))));
        complete
    }

    /// Returns the trade of the current legs, or the fees of an incomplete one.
    fn trade(&mut self) -> Vec<Activity> {
        let legs = std::mem::take(&mut self.legs);
        let terms = legs.iter().find_map(|leg| leg.price.zip(leg.quote.clone()));
        let Some((price, quote)) = terms else {
            return Vec::new();
        };

        let sum = |is_wanted: &dyn Fn(&Posting) -> bool| {
            let wanted = legs.iter().filter(|leg| is_wanted(leg));
            wanted.map(Change::of).reduce(Change::plus)
        };
        let stock = sum(&|leg| leg.price.is_some() && leg.asset != quote);
        let currency = sum(&|leg| leg.price.is_some() && leg.asset == quote);
        let fee = sum(&|leg| leg.price.is_none());

        let Some(base) = stock.as_ref().map(|stock| stock.asset.clone()) else {
            // Only the quote asset changed, in a trade of a tiny amount or of an asset for itself: a cost or a gift of
            // the exchange.
            let changes = currency.into_iter().chain(fee);
            return changes.map(Activity::Fee).collect();
        };

        vec![Activity::Trade(Box::new(SettledTrade {
            base,
            quote,
            price: price.into(),
            stock,
            currency,
            fee,
        }))]
    }

    /// Returns the trade of two movements: a sale of the outgoing asset, unless that is the asset of all figures.
    fn paired_trade(&self, one: &Posting, other: &Posting) -> Activity {
        let (incoming, outgoing) = match one.direction {
            Direction::Credit => (one, other),
            Direction::Debit => (other, one),
        };
        let (stock, currency) = if outgoing.asset == self.measure {
            (incoming, outgoing)
        } else {
            (outgoing, incoming)
        };
        let price = Exact::from(currency.amount).over(&stock.amount.into());

        Activity::Trade(Box::new(SettledTrade {
            base: stock.asset.clone(),
            quote: currency.asset.clone(),
            price: price.unwrap_or_default(),
            stock: Some(Change::of(stock)),
            currency: Some(Change::of(currency)),
            fee: None,
        }))
    }
}

fn are_legs(one: &Posting, other: &Posting) -> bool {
    one.order == other.order && one.direction != other.direction && one.asset != other.asset
}
