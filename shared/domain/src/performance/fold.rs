//! The fold: applies each posting to holdings, prices, returns and trades, in this order.

use super::curve::{Curve, Interval, Point};
use super::exact::Exact;
use super::portfolio::Portfolio;
use super::report::Performance;
use super::returns::Returns;
use super::settle::{Activity, Change, Posting, SettledTrade, Settler};
use super::trades::{TradeFigures, Trades};
use crate::ledger::Asset;
use crate::money::Money;
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::BTreeSet;

/// The measured period. Earlier postings give the state at its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Period {
    /// The inclusive start; `None` for the first posting.
    pub from: Option<DateTime<Utc>>,
    /// The exclusive end; `None` for the last posting.
    pub to: Option<DateTime<Utc>>,
}

/// The error for a curve of more than [`POINTS_MAX`](super::POINTS_MAX) points.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooManyPoints;

/// The state after the postings so far.
#[derive(Debug)]
pub struct Fold {
    period: Period,
    settler: Settler,
    portfolio: Portfolio,
    trades: Trades,
    returns: Returns,
    curve: Option<Curve>,
    /// The time of the last posting.
    time: Option<DateTime<Utc>>,
    /// Assets that changed at this time.
    touched: BTreeSet<Asset>,
    /// The value at the start of the period; `None` before it.
    opening: Option<Exact>,
    flows: Exact,
    overdrawn: BTreeSet<Asset>,
}

impl Fold {
    /// Creates a fold with figures in `measure`, and a curve if an interval is given.
    #[must_use]
    pub fn new(measure: Asset, period: Period, interval: Option<Interval>) -> Self {
        Self {
            period,
            settler: Settler::new(measure.clone()),
            trades: Trades::new(measure.clone()),
            portfolio: Portfolio::new(measure),
            returns: Returns::new(),
            curve: interval.map(Curve::new),
            time: None,
            touched: BTreeSet::new(),
            opening: None,
            flows: Exact::default(),
            overdrawn: BTreeSet::new(),
        }
    }

    /// Adds the balance of an account before its oldest stored posting. Call it before [`Self::push`].
    pub fn hold(&mut self, asset: &Asset, amount: Money) {
        self.portfolio.add(asset, &amount.into());
    }

    /// Adds the next posting. Postings are ordered by time, then by booking.
    ///
    /// # Errors
    /// [`TooManyPoints`] when the curve is full.
    pub fn push(&mut self, posting: Posting) -> Result<(), TooManyPoints> {
        if self.time != Some(posting.time) {
            self.end_time()?;
            self.begin(posting.time);
            self.time = Some(posting.time);
        }

        if !self.touched.contains(&posting.asset) {
            self.touched.insert(posting.asset.clone());
        }
        for activity in self.settler.push(posting) {
            self.apply(&activity);
        }
        Ok(())
    }

    /// Begins the period if it includes `time`.
    fn begin(&mut self, time: DateTime<Utc>) {
        if self.opening.is_some() || self.period.from.is_some_and(|from| time < from) {
            return;
        }

        let value = self.portfolio.value().clone();
        let start = self.period.from.unwrap_or(time);
        self.returns.flow(start, &Exact::default(), &value);
        self.trades.figures = TradeFigures::default();
        self.touched = self.portfolio.assets().cloned().collect();
        self.opening = Some(value);
    }

    fn apply(&mut self, activity: &Activity) {
        match activity {
            Activity::Trade(trade) => self.trade(trade),
            Activity::Fee(fee) => self.fee(fee),
            Activity::Flow(change) => self.flow(change),
        }
    }

    /// Applies a trade, first as a price, then as a change of holdings. A trade of assets that are not all measured is a
    /// flow, because one side has no value.
    fn trade(&mut self, trade: &SettledTrade) {
        for entered in self.portfolio.record_price(trade) {
            self.flow_worth(&entered.worth);
            self.portfolio.enter(&entered);
            self.trades.enter(&entered);
        }

        self.trades.figures.trades += 1;
        let legs = [&trade.stock, &trade.currency];
        if legs.iter().all(|leg| self.portfolio.measures(&leg.asset)) {
            self.trades.trade(trade, &self.portfolio);
            for change in legs.into_iter().chain(&trade.fees) {
                self.portfolio.add(&change.asset, &change.amount);
            }
        } else {
            legs.into_iter().for_each(|leg| self.flow(leg));
            trade.fees.iter().for_each(|fee| self.fee(fee));
        }
    }

    /// Applies a fee without a trade, or a gain if it is positive.
    fn fee(&mut self, fee: &Change) {
        if let Some(worth) = self.portfolio.worth(&fee.asset, &fee.amount) {
            self.trades.fee(fee, &worth);
        }
        self.portfolio.add(&fee.asset, &fee.amount);
    }

    /// Applies a flow; the flow of an asset that is not measured changes no value.
    fn flow(&mut self, change: &Change) {
        if let Some(worth) = self.portfolio.worth(&change.asset, &change.amount) {
            self.flow_worth(&worth);
            self.trades.change(&change.asset, &change.amount, &worth);
        }
        self.portfolio.add(&change.asset, &change.amount);
    }

    fn flow_worth(&mut self, worth: &Exact) {
        let Some(time) = self.time.filter(|_| self.opening.is_some()) else {
            return;
        };

        self.returns.flow(time, self.portfolio.value(), worth);
        self.flows = self.flows.plus(worth);
        if let Some(curve) = &mut self.curve {
            curve.flow(worth);
        }
    }

    fn end_time(&mut self) -> Result<(), TooManyPoints> {
        let Some(time) = self.time else {
            return Ok(());
        };
        for activity in self.settler.end() {
            self.apply(&activity);
        }
        if self.opening.is_none() {
            self.touched.clear();
            return Ok(());
        }
        self.record_overdrawn();

        let value = self.portfolio.value();
        let unit = self.returns.record(time, value);
        if self.returns.begun.is_some()
            && let Some(curve) = &mut self.curve
            && !curve.record(time, value, unit)
        {
            return Err(TooManyPoints);
        }
        Ok(())
    }

    fn record_overdrawn(&mut self) {
        let touched = std::mem::take(&mut self.touched);
        let overdrawn = touched
            .into_iter()
            .filter(|asset| self.portfolio.is_overdrawn(asset));

        self.overdrawn.extend(overdrawn);
    }

    /// Returns the figures and the curve at the last posting, or at the end of the period if it has one.
    ///
    /// # Errors
    /// [`TooManyPoints`] when the curve is full.
    pub fn finish(mut self) -> Result<(Performance, Vec<Point>), TooManyPoints> {
        self.end_time()?;
        self.begin_late();

        let points = self.curve.take().map(|curve| curve.points);
        let performance = self.performance();
        let unit = self.returns.unit(&performance.closing_value);
        let end = self.period.to.map(|to| to - TimeDelta::microseconds(1));

        let is_defined = performance.overdrawn.is_empty();
        let performance = match (end.or(self.time), self.returns.begun) {
            (Some(last), Some(curve)) if is_defined => performance.with_returns(&unit, curve, last),
            _ => performance,
        };
        Ok((performance, points.unwrap_or_default()))
    }

    /// Begins a period with a start but without postings; its only point is the state at the start.
    fn begin_late(&mut self) {
        let Some(from) = self.period.from else {
            return;
        };
        let has_no_posting = self.opening.is_none();
        self.begin(from);

        if has_no_posting
            && let Some(curve) = &mut self.curve
            && let Some(start) = self.returns.start()
        {
            let value = self.portfolio.value();
            curve.record(start, value, self.returns.unit(value));
        }
        self.record_overdrawn();
    }

    /// Returns the figures that need no curve.
    fn performance(&self) -> Performance {
        let opening_value = self.opening.clone().unwrap_or_default();
        let closing_value = self.portfolio.value().clone();
        let start = self.returns.start();
        let end = self.period.to.or(self.time);

        Performance {
            start,
            end: start.map(|start| end.map_or(start, |end| end.max(start))),
            profit: closing_value.minus(&opening_value).minus(&self.flows),
            opening_value,
            closing_value,
            flows: self.flows.clone(),
            trades: self.trades.figures.clone(),
            unpriced: self.portfolio.unpriced(),
            overdrawn: self.overdrawn.iter().cloned().collect(),
            ..Performance::default()
        }
    }
}
