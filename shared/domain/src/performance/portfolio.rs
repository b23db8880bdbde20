//! What is held and what it is worth.
//!
//! Owns: amounts and values by asset, and which assets are measured. Must not know: returns, what caused a change.
//!
//! An asset without a price is held and not measured: it has no value that could be summed up with others.

use super::exact::Exact;
use super::prices::Prices;
use crate::ledger::Asset;
use std::collections::BTreeMap;

/// One asset.
#[derive(Clone, Debug)]
struct Holding {
    amount: Exact,
    /// What it is worth; `None` while it is not measured.
    worth: Option<Exact>,
}

/// An asset that has got its first price.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entered {
    pub(super) asset: Asset,
    pub(super) amount: Exact,
    pub(super) worth: Exact,
}

/// Everything that is held.
#[derive(Debug)]
pub(super) struct Portfolio {
    /// The asset values are in.
    pub(super) measure: Asset,
    prices: Prices,
    holdings: BTreeMap<Asset, Holding>,
    /// Worth of what is measured.
    value: Exact,
}

impl Portfolio {
    pub(super) fn new(measure: Asset) -> Self {
        Self {
            measure,
            prices: Prices::default(),
            holdings: BTreeMap::new(),
            value: Exact::zero(),
        }
    }

    /// Worth of what is measured.
    pub(super) const fn value(&self) -> &Exact {
        &self.value
    }

    /// What an amount of an asset is worth now.
    pub(super) fn worth(&self, asset: &Asset, amount: &Exact) -> Option<Exact> {
        self.prices.worth(asset, amount, &self.measure)
    }

    /// Adds to what is held of an asset, or takes from it.
    pub(super) fn add(&mut self, asset: &Asset, amount: &Exact) {
        let held = self
            .holdings
            .get(asset)
            .map_or_else(Exact::zero, |holding| holding.amount.clone());
        self.set(asset, held.plus(amount));
    }

    /// Notes a trade's price. What is measured already has its new value then; what gets its first price is only told,
    /// and measured from [`Self::enter`] on.
    pub(super) fn note(&mut self, base: &Asset, quote: &Asset, price: &Exact) -> Vec<Entered> {
        self.prices.note(base, quote, price);

        let mut entered = Vec::new();
        for asset in self.prices.concerned(base, quote, &self.measure) {
            let Some(Holding {
                amount,
                worth: before,
            }) = self.holdings.get(&asset).cloned()
            else {
                continue;
            };
            match (before, self.worth(&asset, &amount)) {
                (Some(_), _) => self.set(&asset, amount),
                (None, Some(worth)) => entered.push(Entered {
                    asset,
                    amount,
                    worth,
                }),
                (None, None) => {}
            }
        }
        entered
    }

    /// Begins to measure what is held of an asset.
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

    /// Whether more of an asset was given than there was.
    pub(super) fn is_overdrawn(&self, asset: &Asset) -> bool {
        self.holdings
            .get(asset)
            .is_some_and(|holding| holding.amount.is_negative())
    }

    /// Every asset that was ever held.
    pub(super) fn assets(&self) -> impl Iterator<Item = &Asset> {
        self.holdings.keys()
    }

    /// Assets that are held or were, and never had a price.
    pub(super) fn unpriced(&self) -> Vec<Asset> {
        let none = |(_, holding): &(&Asset, &Holding)| holding.worth.is_none();
        self.holdings
            .iter()
            .filter(none)
            .map(|(asset, _)| asset.clone())
            .collect()
    }
}
