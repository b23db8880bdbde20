//! What a posting is part of: a trade, a fee, or a flow into or out of the trading.
//!
//! Owns: the rule, and waiting for the other postings of a trade. Must not know: prices, values.
//!
//! A posting with a price is a leg of a trade; those of one trading log are one trade, with the fee beside them. A posting
//! whose reason is `fee` is a fee. Two movements of one order and one moment, of different assets and in different
//! directions, are a trade that a bot settled leg by leg; what one got for the other is its price. Whatever is left is a
//! flow: it changes what there is to trade with, and says nothing about how well that was done.

use super::exact::Exact;
use super::posting::Posting;
use crate::ledger::{Asset, Direction};

/// Movements of one moment that may wait for the other leg of their trade; more of them are flows at once.
const LONELY_MAX: usize = 1_000;
const FEE: &str = "fee";
/// What people move by hand, whatever else it names.
const BY_HAND: [&str; 2] = ["deposit", "withdraw"];

/// A change of what is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) asset: Asset,
    /// Below zero when it left.
    pub(super) amount: Exact,
    /// What of it a fee took: part of what left, or missing in what came.
    pub(super) fee: Exact,
}

impl Change {
    fn of(posting: &Posting) -> Self {
        let amount = Exact::from(posting.amount);
        let amount = match posting.direction {
            Direction::Credit => amount,
            Direction::Debit => Exact::zero().minus(&amount),
        };
        let fee = posting.fee.map_or_else(Exact::zero, Exact::from);
        Self {
            asset: posting.asset.clone(),
            amount,
            fee,
        }
    }

    /// Both changes of one asset as one.
    fn and(self, other: Self) -> Self {
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
    /// What was traded.
    pub(super) base: Asset,
    /// What it was paid in.
    pub(super) quote: Asset,
    /// Price of one unit of `base`.
    pub(super) price: Exact,
    /// Change of `base`; a leg that rounded to zero is absent.
    pub(super) stock: Option<Change>,
    /// Change of `quote`; likewise.
    pub(super) currency: Option<Change>,
    /// The fee that was paid apart, as what it changed.
    pub(super) fee: Option<Change>,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Happening {
    Trade(Box<SettledTrade>),
    Fee(Change),
    Flow(Change),
}

/// Puts postings together, in the order of their booking within a moment.
#[derive(Debug)]
pub(super) struct Settler {
    /// The asset figures are in: a trade leg by leg against it is one of the other asset.
    measure: Asset,
    /// Postings of the trade that comes in.
    legs: Vec<Posting>,
    /// Movements that name an order and wait for their other leg.
    lonely: Vec<Posting>,
}

impl Settler {
    pub(super) fn new(measure: Asset) -> Self {
        Self {
            measure,
            legs: Vec::new(),
            lonely: Vec::new(),
        }
    }

    /// Takes the next posting of a moment; answers what is complete by it.
    pub(super) fn take(&mut self, posting: Posting) -> Vec<Happening> {
        let mut complete = Vec::new();
        if self.legs.first().is_some_and(|leg| leg.log != posting.log) {
            complete.extend(self.trade());
        }

        let belongs = posting.price.is_some() || !self.legs.is_empty();
        if belongs {
            self.legs.push(posting);
        } else if posting.reason == FEE {
            complete.push(Happening::Fee(Change::of(&posting)));
        } else if posting.order.is_none() || BY_HAND.contains(&posting.reason.as_str()) {
            complete.push(Happening::Flow(Change::of(&posting)));
        } else {
            complete.extend(self.pair_up(posting));
        }
        complete
    }

    /// Puts a movement together with its other leg, or lets it wait for one.
    fn pair_up(&mut self, posting: Posting) -> Option<Happening> {
        let mut lonely = self.lonely.iter();

        if let Some(at) = lonely.position(|other| are_legs(other, &posting)) {
            let other = self.lonely.remove(at);
            return Some(self.leg_by_leg(&other, &posting));
        }
        if self.lonely.len() < LONELY_MAX {
            self.lonely.push(posting);
            return None;
        }
        Some(Happening::Flow(Change::of(&posting)))
    }

    /// Ends the moment: nothing that comes belongs to what came.
    pub(super) fn end(&mut self) -> Vec<Happening> {
        let mut complete = self.trade();
        complete.extend(
            self.lonely
                .drain(..)
                .map(|posting| Happening::Flow(Change::of(&posting))),
        );
        complete
    }

    /// What the waiting legs make: a trade, or what is left of one.
    fn trade(&mut self) -> Vec<Happening> {
        let legs = std::mem::take(&mut self.legs);
        let terms = legs.iter().find_map(|leg| leg.price.zip(leg.quote.clone()));
        let Some((price, quote)) = terms else {
            return Vec::new();
        };

        let of = |wanted: &dyn Fn(&Posting) -> bool| {
            legs.iter()
                .filter(|leg| wanted(leg))
                .map(Change::of)
                .reduce(Change::and)
        };
        let stock = of(&|leg| leg.price.is_some() && leg.asset != quote);
        let currency = of(&|leg| leg.price.is_some() && leg.asset == quote);
        let fee = of(&|leg| leg.price.is_none());

        let Some(base) = stock.as_ref().map(|stock| stock.asset.clone()) else {
            // Nothing else moved than what it was paid in, of a trade of next to nothing or of an asset for itself: that is
            // a cost or a gift of the exchange.
            return currency
                .into_iter()
                .chain(fee)
                .map(Happening::Fee)
                .collect();
        };

        vec![Happening::Trade(Box::new(SettledTrade {
            base,
            quote,
            price: price.into(),
            stock,
            currency,
            fee,
        }))]
    }

    /// The trade two movements make. What left was sold, unless it is what everything is measured in.
    fn leg_by_leg(&self, one: &Posting, other: &Posting) -> Happening {
        let (came, left) = match one.direction {
            Direction::Credit => (one, other),
            Direction::Debit => (other, one),
        };

        let (stock, currency) = if left.asset == self.measure {
            (came, left)
        } else {
            (left, came)
        };
        let price = Exact::from(currency.amount)
            .over(&stock.amount.into())
            .unwrap_or_default();

        Happening::Trade(Box::new(SettledTrade {
            base: stock.asset.clone(),
            quote: currency.asset.clone(),
            price,
            stock: Some(Change::of(stock)),
            currency: Some(Change::of(currency)),
            fee: None,
        }))
    }
}

fn are_legs(one: &Posting, other: &Posting) -> bool {
    one.order == other.order && one.direction != other.direction && one.asset != other.asset
}
