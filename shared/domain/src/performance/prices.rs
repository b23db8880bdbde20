//! What one asset is worth in another, by the last trades of the ledger.
//!
//! Owns: remembering prices and finding a way from one asset to the other. Must not know: how much is held.
//!
//! The last trade between the two assets counts, whichever of them it was of. When there was none, a third asset leads
//! from one to the other: of several the one with which the first was traded last.

use super::exact::Exact;
use crate::ledger::Asset;
use std::collections::BTreeMap;

/// The last trade of a pair.
#[derive(Clone, Debug)]
struct Last {
    price: Exact,
    /// Counts trades, so that of two the later is known.
    number: u64,
    /// Whether the price is of the asset it is kept under.
    is_direct: bool,
}

/// The prices so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Prices {
    /// By the asset and the one it is worth something in; every trade stands here twice.
    last: BTreeMap<Asset, BTreeMap<Asset, Last>>,
    trades: u64,
}

impl Prices {
    /// Notes that one unit of `base` went for `price` of `quote`. A price of zero is none.
    pub(super) fn note(&mut self, base: &Asset, quote: &Asset, price: &Exact) {
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
            if !self.last.contains_key(one) {
                self.last.insert(one.clone(), BTreeMap::new());
            }
            if let Some(pairs) = self.last.get_mut(one) {
                pairs.insert(other.clone(), last);
            }
        }
    }

    /// What `amount` of `asset` is worth in `quote`; `None` when no price leads there.
    pub(super) fn worth(&self, asset: &Asset, amount: &Exact, quote: &Asset) -> Option<Exact> {
        if asset == quote {
            return Some(amount.clone());
        }
        if let Some(worth) = self.step(asset, amount, quote) {
            return Some(worth);
        }
        let ways = self
            .last
            .get(asset)?
            .iter()
            .filter(|(via, _)| self.pair(via, quote).is_some());
        let (via, _) = ways.max_by_key(|(_, last)| last.number)?;
        self.step(via, &self.step(asset, amount, via)?, quote)
    }

    /// Assets whose worth in `measure` a trade of this pair can change.
    pub(super) fn concerned(&self, base: &Asset, quote: &Asset, measure: &Asset) -> Vec<Asset> {
        let other = match (base == measure, quote == measure) {
            (true, _) => quote,
            (_, true) => base,
            (false, false) => return vec![base.clone(), quote.clone()],
        };
        let beyond = self.last.get(other).into_iter().flat_map(BTreeMap::keys);
        [other]
            .into_iter()
            .chain(beyond.filter(|asset| *asset != measure))
            .cloned()
            .collect()
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
