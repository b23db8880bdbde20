//! Gains and losses of sales against average cost, fees and turnover.
//!
//! All figures are in the measure, at the prices of the time. A purchase costs its price plus the fee; a sale removes
//! the average cost of the sold amount, and its gain is the proceeds less that cost and the fee. A fee in the traded
//! asset reduces its amount; a fee in another asset counts with its value. A rebate is a negative fee. An amount from a
//! flow, or valued later, costs its value when it is first measured.

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

    /// Removes an amount and returns its average cost; an amount beyond the position has no cost.
    fn remove(&mut self, amount: &Exact) -> Exact {
        let cost = if *amount < self.amount {
            let share = self.cost.times(amount).over(&self.amount);
            share.unwrap_or_default()
        } else {
            self.cost.clone()
        };

        self.add(&amount.negated(), &cost.negated());
        cost
    }
}

/// The figures of the trades of a period.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TradeFigures {
    /// The number of trades, purchases and sales.
    pub trades: u64,
    /// The number of sales whose gain is known.
    pub closing_trades: u64,
    /// The number of closing trades with a gain above zero.
    pub winning_trades: u64,
    /// The sum of the gains.
    pub gains: Exact,
    /// The sum of the losses, as a positive number.
    pub losses: Exact,
    /// The value of all fees.
    pub fees: Exact,
    /// The value of all trades, without fees.
    pub turnover: Exact,
}

/// Follows the positions and figures of trades.
#[derive(Debug)]
pub(super) struct Trades {
    /// The asset of all figures, which always costs its amount.
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

    /// Adds the position of an asset that has its first price.
    pub(super) fn enter(&mut self, entered: &Entered) {
        self.position(&entered.asset)
            .add(&entered.amount, &entered.worth);
    }

    /// Records a change of a measured asset without a trade, with its value.
    pub(super) fn change(&mut self, asset: &Asset, amount: &Exact, worth: &Exact) {
        if *asset == self.measure {
            return;
        }

        let position = self.position(asset);
        if amount.is_negative() {
            position.remove(&amount.negated());
        } else {
            position.add(amount, worth);
        }
    }

    /// Records a fee without a trade, with its signed value, which is negative for a cost.
    pub(super) fn fee(&mut self, fee: &Change, worth: &Exact) {
        self.figures.fees = self.figures.fees.minus(worth);
        self.change(&fee.asset, &fee.amount, worth);
    }

    /// Records a trade of measured assets at the prices after it.
    pub(super) fn trade(&mut self, trade: &SettledTrade, held: &Portfolio) {
        let worth = |asset: &Asset, amount: &Exact| held.worth(asset, amount).unwrap_or_default();
        let SettledTrade {
            stock,
            currency,
            fees,
        } = trade;
        let paid = worth(&currency.asset, &currency.amount);
        let traded = worth(&currency.asset, &currency.exchanged()).abs();
        self.figures.turnover = self.figures.turnover.plus(&traded);
        for leg in [stock, currency] {
            let included_fee = worth(&leg.asset, &leg.fee);
            self.figures.fees = self.figures.fees.plus(&included_fee);
        }

        self.change(&currency.asset, &currency.amount, &paid);
        let mut amount = stock.amount.clone();
        let mut due = paid.negated();
        for fee in fees {
            let Some(worth) = held.worth(&fee.asset, &fee.amount) else {
                continue;
            };
            self.figures.fees = self.figures.fees.minus(&worth);
            if fee.asset == stock.asset {
                amount = amount.plus(&fee.amount);
            } else {
                self.change(&fee.asset, &fee.amount, &worth);
                due = due.minus(&worth);
            }
        }

        if stock.amount.is_negative() {
            let cost = self.position(&stock.asset).remove(&amount.negated());
            self.figures.close(&due.plus(&cost).negated());
        } else {
            self.position(&stock.asset).add(&amount, &due);
        }
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

    /// Returns the share of winning trades; `None` without closing trades.
    #[must_use]
    pub fn win_rate(&self) -> Option<f64> {
        let closing = Exact::from(self.closing_trades);

        Some(Exact::from(self.winning_trades).over(&closing)?.nearest())
    }

    /// Returns the ratio of gains to losses; `None` without losses.
    #[must_use]
    pub fn profit_factor(&self) -> Option<f64> {
        Some(self.gains.over(&self.losses)?.nearest())
    }
}
