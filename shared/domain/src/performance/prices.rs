//! The value of one asset in another, by the last trades of the ledger.
//!
//! The last trade between the two assets gives the price, in either direction. Without one, a third asset leads from
//! one to the other: of several, the one with which the first asset was traded last.

use super::exact::Exact;
use crate::ledger::Asset;
use std::collections::BTreeMap;

/// The last trade of a pair.
#[derive(Clone, Debug)]
struct Last {
    price: Exact,
    /// The number of the trade, which orders trades.
    number: u64,
    /// Whether the price is of the asset under which it is stored.
    is_direct: bool,
}

/// The prices so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Prices {
    /// The last trades by both assets; every trade is stored in both directions.
    last: BTreeMap<Asset, BTreeMap<Asset, Last>>,
    trades: u64,
}

impl Prices {
    /// Records the price of a trade; a price of zero is ignored.
    pub(super) fn record(&mut self, base: &Asset, quote: &Asset, price: &Exact) {
        if !price.is_positive() {
            return;
        }

        self.trades += 1;
        for (one, other, is_direct) in [(base, quote, true), (quote, base, false)] {
            let last = Last {
                price: price.clone(),
                number: self.trades,
                is_direct,
            };
            if let Some(pairs) = self.last.get_mut(one) {
                pairs.insert(other.clone(), last);
            } else {
                self.last
                    .insert(one.clone(), BTreeMap::from([(other.clone(), last)]));
            }
        }
    }

    /// Returns the value of an amount in `quote`; `None` when no price leads there.
    pub(super) fn worth(&self, asset: &Asset, amount: &Exact, quote: &Asset) -> Option<Exact> {
        if asset == quote {
            return Some(amount.clone());
        }
        if let Some(worth) = self.step(asset, amount, quote) {
            return Some(worth);
        }

        let pairs = self.last.get(asset)?.iter();
        let ways = pairs.filter(|(via, _)| self.pair(via, quote).is_some());
        let (via, _) = ways.max_by_key(|(_, last)| last.number)?;
        self.step(via, &self.step(asset, amount, via)?, quote)
    }

    /// Returns the assets whose value in `measure` a trade of a pair can change.
    pub(super) fn affected(&self, base: &Asset, quote: &Asset, measure: &Asset) -> Vec<Asset> {
        let other = match (base == measure, quote == measure) {
            (true, _) => quote,
            (_, true) => base,
            (false, false) => return vec![base.clone(), quote.clone()],
        };

        let mut affected = vec![other.clone()];
        let traded = self.last.get(other).into_iter().flat_map(BTreeMap::keys);
        affected.extend(traded.filter(|asset| *asset != measure).cloned());
        affected
    }

    fn pair(&self, asset: &Asset, quote: &Asset) -> Option<&Last> {
        self.last.get(asset)?.get(quote)
    }

    fn step(&self, asset: &Asset, amount: &Exact, quote: &Asset) -> Option<Exact> {
        let last = self.pair(asset, quote)?;
        if last.is_direct {
            Some(amount.times(&last.price))
        } else {
            amount.over(&last.price)
        }
    }
}
