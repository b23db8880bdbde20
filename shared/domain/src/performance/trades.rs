//! Gains and losses of sales against average cost, fees and turnover.
//!
//! Owns: what a position has cost. Must not know: returns, flows of the whole.
//!
//! Everything is in the asset figures are in, at the prices of the moment. A purchase costs what was paid, fee included; a
//! sale gives up the average cost of what was sold, and its gain is what came for it less that cost and the fee. A fee paid
//! in what was traded is less of it, a fee paid in a third asset is its worth. What can be valued only later, or came by a
//! flow, costs what it was worth when it began to be measured.

use super::exact::Exact;
use super::portfolio::{Entered, Portfolio};
use super::settle::{Change, SettledTrade};
use crate::ledger::Asset;
use std::collections::BTreeMap;

#[derive(Clone, Debug, Default)]
struct Position {
    amount: Exact,
    cost: Exact,
}

impl Position {
    fn add(&mut self, amount: &Exact, cost: &Exact) {
        self.amount = self.amount.plus(amount);
        self.cost = self.cost.plus(cost);
    }

    /// Gives so much up; answers what it has cost on average. What was never there has cost nothing.
    fn remove(&mut self, amount: &Exact) -> Exact {
        let cost = if *amount < self.amount {
            self.cost
                .times(amount)
                .over(&self.amount)
                .unwrap_or_default()
        } else {
            self.cost.clone()
        };
        self.add(&Exact::zero().minus(amount), &Exact::zero().minus(&cost));
        cost
    }
}

/// What trades made of the money.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TradeFigures {
    /// Trades, purchases and sales.
    pub trades: u64,
    /// Sales whose gain is known.
    pub closing_trades: u64,
    /// Of these with a gain above zero.
    pub winning_trades: u64,
    /// Sum of the gains.
    pub gains: Exact,
    /// Sum of the losses, as a number above zero.
    pub losses: Exact,
    /// Worth of all fees.
    pub fees: Exact,
    /// Worth of what was traded, without fees.
    pub turnover: Exact,
}

/// Follows the trades.
#[derive(Debug)]
pub(super) struct Trades {
    /// What figures are in: it always costs what it is.
    measure: Asset,
    positions: BTreeMap<Asset, Position>,
    pub(super) figures: TradeFigures,
}

impl Trades {
    pub(super) fn new(measure: Asset) -> Self {
        Self {
            measure,
            positions: BTreeMap::new(),
            figures: TradeFigures::default(),
        }
    }

    /// An asset is measured from now on.
    pub(super) fn enter(&mut self, entered: &Entered) {
        self.position(&entered.asset)
            .add(&entered.amount, &entered.worth);
    }

    /// Some of a measured asset, worth so much, came or went without a trade.
    pub(super) fn change(&mut self, asset: &Asset, amount: &Exact, worth: &Exact) {
        if *asset == self.measure {
            return;
        }
        if amount.is_negative() {
            self.position(asset).remove(&amount.negated());
        } else {
            self.position(asset).add(amount, worth);
        }
    }

    /// A fee without a trade.
    pub(super) fn fee(&mut self, fee: &Change, worth: &Exact) {
        self.figures.fees = self.figures.fees.minus(worth);
        self.change(&fee.asset, &fee.amount, worth);
    }

    /// A trade, at the prices after it; one of assets that are not all measured only counts.
    pub(super) fn trade(&mut self, trade: &SettledTrade, held: &Portfolio) {
        self.figures.trades += 1;
        let currency = trade.currency.as_ref();
        let moved = currency.map_or_else(Exact::zero, |change| change.amount.clone());
        let included = currency.map_or_else(Exact::zero, |change| change.fee.clone());

        let worth = |amount: &Exact| held.worth(&trade.quote, amount);
        let (Some(stock), Some(paid), Some(included)) =
            (&trade.stock, worth(&moved), worth(&included))
        else {
            return;
        };
        if held.worth(&trade.base, &stock.amount).is_none() {
            return;
        }

        let apart = trade.fee.as_ref().filter(|fee| fee.asset != trade.base);
        let apart_worth = |fee: &Change| held.worth(&fee.asset, &fee.fee);
        let apart_worth = apart.and_then(apart_worth).unwrap_or_default();
        let in_kind = trade.fee.as_ref().filter(|fee| fee.asset == trade.base);
        let in_kind = in_kind.map_or_else(Exact::zero, |fee| fee.fee.clone());

        self.sum_up(trade, held, &paid, &included);
        self.change(&trade.quote, &moved, &paid);
        if let Some(fee) = apart {
            self.change(&fee.asset, &fee.amount, &Exact::zero());
        }

        let due = apart_worth.minus(&paid);
        if stock.amount.is_negative() {
            let cost = self
                .position(&trade.base)
                .remove(&in_kind.minus(&stock.amount));
            self.figures.close(&due.plus(&cost).negated());
        } else {
            self.position(&trade.base)
                .add(&stock.amount.minus(&in_kind), &due);
        }
    }

    /// Adds to fees and turnover. Of a purchase the fee is part of what was paid, in what came for a sale it is missing.
    fn sum_up(&mut self, trade: &SettledTrade, held: &Portfolio, paid: &Exact, included: &Exact) {
        let apart = trade
            .fee
            .as_ref()
            .and_then(|fee| held.worth(&fee.asset, &fee.fee));
        let fees = included.plus(&apart.unwrap_or_default());
        self.figures.fees = self.figures.fees.plus(&fees);

        let traded = paid.plus(included);
        let traded = if traded.is_negative() {
            traded.negated()
        } else {
            traded
        };
        self.figures.turnover = self.figures.turnover.plus(&traded);
    }

    fn position(&mut self, asset: &Asset) -> &mut Position {
        self.positions.entry(asset.clone()).or_default()
    }
}

impl TradeFigures {
    fn close(&mut self, gain: &Exact) {
        self.closing_trades += 1;
        if gain.is_positive() {
            self.winning_trades += 1;
            self.gains = self.gains.plus(gain);
        } else {
            self.losses = self.losses.minus(gain);
        }
    }

    /// Part of the closing trades that won.
    #[must_use]
    pub fn win_rate(&self) -> Option<f64> {
        Some(
            Exact::from(self.winning_trades)
                .over(&Exact::from(self.closing_trades))?
                .nearest(),
        )
    }

    /// Gains for each unit of loss.
    #[must_use]
    pub fn profit_factor(&self) -> Option<f64> {
        Some(self.gains.over(&self.losses)?.nearest())
    }
}
