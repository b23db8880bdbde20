//! The holdings and their value.
//!
//! An asset without a price is held but not measured: it has no value that could be added to that of others.

use super::exact::Exact;
use super::prices::Prices;
use super::settle::SettledTrade;
use crate::ledger::Asset;
use std::collections::BTreeMap;

#[derive(Clone, Debug)]
struct Holding {
    amount: Exact,
    /// The value; `None` while the asset is not measured.
    worth: Option<Exact>,
}

/// A held asset that has its first price.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entered {
    pub(super) asset: Asset,
    pub(super) amount: Exact,
    pub(super) worth: Exact,
}

/// All holdings.
#[derive(Debug)]
pub(super) struct Portfolio {
    /// The asset of all values.
    measure: Asset,
    prices: Prices,
    holdings: BTreeMap<Asset, Holding>,
    value: Exact,
}

impl Portfolio {
    pub(super) fn new(measure: Asset) -> Self {
        Self {
            measure,
            prices: Prices::default(),
            holdings: BTreeMap::new(),
            value: Exact::default(),
        }
    }

    /// Returns the value of all measured assets.
    pub(super) const fn value(&self) -> &Exact {
        &self.value
    }

    /// Returns the current value of an amount; `None` when no price leads to the measure.
    pub(super) fn worth(&self, asset: &Asset, amount: &Exact) -> Option<Exact> {
        self.prices.worth(asset, amount, &self.measure)
    }

    /// Returns whether amounts of an asset have a value.
    pub(super) fn measures(&self, asset: &Asset) -> bool {
        self.prices.lead(asset, &self.measure)
    }

    /// Adds a signed amount to a holding.
    pub(super) fn add(&mut self, asset: &Asset, amount: &Exact) {
        let held = self.holdings.get(asset);
        let held = held.map(|holding| holding.amount.plus(amount));

        self.set(asset, held.unwrap_or_else(|| amount.clone()));
    }

    /// Records the price of a trade and updates the value of measured assets. Assets with their first price are
    /// returned, and measured from [`Self::enter`] on.
    pub(super) fn record_price(&mut self, trade: &SettledTrade) -> Vec<Entered> {
        let SettledTrade {
            stock, currency, ..
        } = trade;
        self.prices.record(stock, currency);

        let mut entered = Vec::new();
        let affected = self
            .prices
            .affected(&stock.asset, &currency.asset, &self.measure);
        for asset in affected {
            let Some(Holding { amount, worth }) = self.holdings.get(&asset).cloned() else {
                continue;
            };
            if worth.is_some() {
                self.set(&asset, amount);
            } else if let Some(worth) = self.worth(&asset, &amount) {
                entered.push(Entered {
                    asset,
                    amount,
                    worth,
                });
            }
        }
        entered
    }

    /// Begins to measure an asset.
    pub(super) fn enter(&mut self, entered: &Entered) {
        self.set(&entered.asset, entered.amount.clone());
    }

    fn set(&mut self, asset: &Asset, amount: Exact) {
        let worth = self.worth(asset, &amount);
        if let Some(worth) = &worth {
            self.value = self.value.plus(worth);
        }

        let holding = Holding { amount, worth };
        let before = match self.holdings.get_mut(asset) {
            Some(held) => std::mem::replace(held, holding).worth,
            None => {
                self.holdings.insert(asset.clone(), holding);
                None
            }
        };
        if let Some(before) = before {
            self.value = self.value.minus(&before);
        }
    }

    /// Returns whether more of an asset was spent than held.
    pub(super) fn is_overdrawn(&self, asset: &Asset) -> bool {
        let holding = self.holdings.get(asset);

        holding.is_some_and(|holding| holding.amount.is_negative())
    }

    /// Returns every asset that was ever held.
    pub(super) fn assets(&self) -> impl Iterator<Item = &Asset> {
        self.holdings.keys()
    }

    /// Returns the assets that were ever held and never had a price.
    pub(super) fn unpriced(&self) -> Vec<Asset> {
        let holdings = self.holdings.iter();
        let unpriced = holdings.filter(|(_, holding)| holding.worth.is_none());

        unpriced.map(|(asset, _)| asset.clone()).collect()
    }
}
