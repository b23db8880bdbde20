//! Gains and losses of sales against average cost, fees and turnover.
//!
//! All figures are in the measure, at the prices of the time. A purchase costs its price plus the fee; a sale removes
//! the average cost of the sold amount, and its gain is the proceeds less that cost and the fee. A fee in the traded
//! asset reduces its amount; a fee in a third asset counts with its value. An amount from a flow, or valued later,
//! costs its value when it is first measured.

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

    /// Records a fee without a trade, with its signed value.
    pub(super) fn fee(&mut self, fee: &Change, worth: &Exact) {
        self.figures.fees = self.figures.fees.minus(worth);
        self.change(&fee.asset, &fee.amount, worth);
    }

    /// Records a trade at the prices after it; a trade of assets that are not all measured is only counted.
    pub(super) fn trade(&mut self, trade: &SettledTrade, held: &Portfolio) {
        self.figures.trades += 1;
        let currency = trade.currency.as_ref();
        let (moved, included_fee) = currency
            .map(|change| (change.amount.clone(), change.fee.clone()))
            .unwrap_or_default();
        let worth = |amount: &Exact| held.worth(&trade.quote, amount);
        let (Some(stock), Some(paid), Some(included_fee)) =
            (&trade.stock, worth(&moved), worth(&included_fee))
        else {
            return;
        };
        if held.worth(&trade.base, &stock.amount).is_none() {
            return;
        }

        let separate_fee = trade.fee.as_ref();
        let fee_worth = separate_fee.and_then(|fee| held.worth(&fee.asset, &fee.fee));
        let fee_worth = fee_worth.unwrap_or_default();
        self.figures.fees = self.figures.fees.plus(&included_fee.plus(&fee_worth));
        // The cost of a purchase includes the fee; the proceeds of a sale are already less it.
        let traded = paid.plus(&included_fee).abs();
        self.figures.turnover = self.figures.turnover.plus(&traded);

        self.change(&trade.quote, &moved, &paid);
        let mut amount = stock.amount.clone();
        let mut due = paid.negated();
        match separate_fee {
            Some(fee) if fee.asset == trade.base => amount = amount.minus(&fee.fee),
            Some(fee) => {
                self.change(&fee.asset, &fee.amount, &Exact::default());
                due = due.plus(&fee_worth);
            }
            None => {}
        }

        if stock.amount.is_negative() {
            let cost = self.position(&trade.base).remove(&amount.negated());
            self.figures.close(&due.plus(&cost).negated());
        } else {
            self.position(&trade.base).add(&amount, &due);
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
