//! The value of one asset in another, by the last trades of the ledger.
//!
//! The last trade between the two assets gives the price, in either direction. Without one, a third asset leads from
//! one to the other: of several, the one with which the first asset was traded last. A price is kept as the two amounts
//! that were exchanged: their quotient may have no end, but the value of an exchanged amount is exact.

use super::exact::{Exact, WORTH_PLACES};
use super::settle::Change;
use crate::ledger::Asset;
use std::collections::BTreeMap;

/// The last trade of an asset with another one.
#[derive(Clone, Debug)]
struct Last {
    /// The amount of the asset, above zero.
    given: Exact,
    /// The amount of the other asset, above zero.
    taken: Exact,
    /// The number of the trade, which orders trades.
    number: u64,
}

/// The trades that lead from one asset to another.
enum Route<'a> {
    Same,
    Direct(&'a Last),
    Via(&'a Last, &'a Last),
}

/// The prices so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Prices {
    /// The last trades by both assets; every trade is stored in both directions.
    last: BTreeMap<Asset, BTreeMap<Asset, Last>>,
    trades: u64,
}

impl Prices {
    /// Records the price of a trade: the amounts of its legs without fees.
    pub(super) fn record(&mut self, stock: &Change, currency: &Change) {
        self.trades += 1;
        let given = stock.exchanged().abs();
        let taken = currency.exchanged().abs();
        let there = Last {
            given: given.clone(),
            taken: taken.clone(),
            number: self.trades,
        };
        let back = Last {
            given: taken,
            taken: given,
            number: self.trades,
        };

        self.insert(&stock.asset, &currency.asset, there);
        self.insert(&currency.asset, &stock.asset, back);
    }

    fn insert(&mut self, asset: &Asset, other: &Asset, last: Last) {
        let Some(pairs) = self.last.get_mut(asset) else {
            let pairs = BTreeMap::from([(other.clone(), last)]);
            self.last.insert(asset.clone(), pairs);
            return;
        };

        match pairs.get_mut(other) {
            Some(earlier) => *earlier = last,
            None => {
                pairs.insert(other.clone(), last);
            }
        }
    }

    /// Returns whether a price leads from an asset to `quote`.
    pub(super) fn lead(&self, asset: &Asset, quote: &Asset) -> bool {
        self.route(asset, quote).is_some()
    }

    /// Returns the value of an amount in `quote`, divided last; `None` when no price leads there.
    pub(super) fn worth(&self, asset: &Asset, amount: &Exact, quote: &Asset) -> Option<Exact> {
        match self.route(asset, quote)? {
            Route::Same => Some(amount.clone()),
            Route::Direct(last) => amount.share(&last.taken, &last.given, WORTH_PLACES),
            Route::Via(first, second) => {
                let given = first.given.times(&second.given);
                let taken = first.taken.times(&second.taken);
                amount.share(&taken, &given, WORTH_PLACES)
            }
        }
    }

    fn route(&self, asset: &Asset, quote: &Asset) -> Option<Route<'_>> {
        if asset == quote {
            return Some(Route::Same);
        }
        let pairs = self.last.get(asset)?;
        if let Some(last) = pairs.get(quote) {
            return Some(Route::Direct(last));
        }

        let routes = pairs
            .iter()
            .filter_map(|(via, last)| Some((last, self.last.get(via)?.get(quote)?)));
        let (first, second) = routes.max_by_key(|(first, _)| first.number)?;
        Some(Route::Via(first, second))
    }

    /// Returns the assets whose value in `measure` a trade of two assets can change.
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
}
