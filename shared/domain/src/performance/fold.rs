//! The fold: what each posting does to holdings, prices, returns and trades.
//!
//! Owns: the order of these, and where the period begins. Must not know: how any of them is computed.

use super::curve::{Curve, Interval, Point};
use super::exact::Exact;
use super::portfolio::Portfolio;
use super::posting::{Period, Posting};
use super::report::Performance;
use super::returns::Returns;
use super::settle::{Change, Happening, SettledTrade, Settler};
use super::trades::{TradeFigures, Trades};
use crate::ledger::Asset;
use crate::money::Money;
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::BTreeSet;

/// The curve would have more points than it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooManyPoints;

/// The postings so far, folded.
#[derive(Debug)]
pub struct Fold {
    period: Period,
    settler: Settler,
    portfolio: Portfolio,
    trades: Trades,
    returns: Returns,
    curve: Option<Curve>,
    moment: Option<DateTime<Utc>>,
    /// Assets that changed in this moment.
    touched: Vec<Asset>,
    /// Value when the period began; `None` before.
    opening: Option<Exact>,
    flows: Exact,
    overdrawn: BTreeSet<Asset>,
}

impl Fold {
    /// Figures in `measure`, with a curve when an interval is given.
    #[must_use]
    pub fn new(measure: Asset, period: Period, interval: Option<Interval>) -> Self {
        Self {
            period,
            settler: Settler::new(measure.clone()),
            trades: Trades::new(measure.clone()),
            portfolio: Portfolio::new(measure),
            returns: Returns::new(),
            curve: interval.map(Curve::new),
            moment: None,
            touched: Vec::new(),
            opening: None,
            flows: Exact::zero(),
            overdrawn: BTreeSet::new(),
        }
    }

    /// Notes what an account held before its first posting that is still kept. Before any posting.
    pub fn hold(&mut self, asset: &Asset, amount: Money) {
        self.portfolio.add(asset, &amount.into());
    }

    /// Takes the next posting: never one of an earlier moment, within a moment in the order of booking.
    ///
    /// # Errors
    /// [`TooManyPoints`] when the curve has no room for more.
    pub fn push(&mut self, posting: Posting) -> Result<(), TooManyPoints> {
        if self.moment != Some(posting.time) {
            self.end_moment()?;
            self.begin(posting.time);
            self.moment = Some(posting.time);
        }
        self.touched.push(posting.asset.clone());
        for happening in self.settler.take(posting) {
            self.happen(&happening);
        }
        Ok(())
    }

    /// Begins the period when `time` is in it.
    fn begin(&mut self, time: DateTime<Utc>) {
        if self.opening.is_some() || self.period.from.is_some_and(|from| time < from) {
            return;
        }

        let value = self.portfolio.value().clone();
        self.returns
            .flow(self.period.from.unwrap_or(time), &Exact::zero(), &value);
        self.trades.figures = TradeFigures::default();
        self.touched = self.portfolio.assets().cloned().collect();
        self.opening = Some(value);
    }

    fn happen(&mut self, happening: &Happening) {
        match happening {
            Happening::Trade(trade) => self.trade(trade),
            Happening::Fee(fee) => {
                if let Some(worth) = self.portfolio.worth(&fee.asset, &fee.amount) {
                    self.trades.fee(fee, &worth);
                }
                self.portfolio.add(&fee.asset, &fee.amount);
            }
            Happening::Flow(change) => self.flow(change),
        }
    }

    /// A trade, first as a price, then as a change of holdings. Between assets that are not all measured it is a flow,
    /// because one side of it has no value.
    fn trade(&mut self, trade: &SettledTrade) {
        for entered in self.portfolio.note(&trade.base, &trade.quote, &trade.price) {
            self.flow_worth(&entered.worth);
            self.portfolio.enter(&entered);
            self.trades.enter(&entered);
        }

        let nothing = Exact::zero();
        let is_measured = |asset: &Asset| self.portfolio.worth(asset, &nothing).is_some();
        let is_whole = is_measured(&trade.base) && is_measured(&trade.quote);
        self.trades.trade(trade, &self.portfolio);

        for leg in trade.stock.iter().chain(&trade.currency) {
            if is_whole {
                self.portfolio.add(&leg.asset, &leg.amount)
            } else {
                self.flow(leg)
            }
        }
        if let Some(fee) = &trade.fee {
            self.portfolio.add(&fee.asset, &fee.amount);
        }
    }

    /// Something flows in or out; what is not measured changes no value.
    fn flow(&mut self, change: &Change) {
        if let Some(worth) = self.portfolio.worth(&change.asset, &change.amount) {
            self.flow_worth(&worth);
            self.trades.change(&change.asset, &change.amount, &worth);
        }
        self.portfolio.add(&change.asset, &change.amount);
    }

    fn flow_worth(&mut self, worth: &Exact) {
        let Some(time) = self.moment.filter(|_| self.opening.is_some()) else {
            return;
        };
        self.returns.flow(time, self.portfolio.value(), worth);
        self.flows = self.flows.plus(worth);
        if let Some(curve) = &mut self.curve {
            curve.flow(worth);
        }
    }

    fn end_moment(&mut self) -> Result<(), TooManyPoints> {
        let Some(time) = self.moment else {
            return Ok(());
        };
        for happening in self.settler.end() {
            self.happen(&happening);
        }
        if self.opening.is_none() {
            self.touched.clear();
            return Ok(());
        }
        self.note_overdrawn();

        let value = self.portfolio.value();
        let unit = self.returns.see(time, value);
        let has_begun = self.returns.begun().is_some();
        let has_room = match &mut self.curve {
            Some(curve) if has_begun => curve.see(time, value, unit),
            Some(_) | None => true,
        };
        if has_room { Ok(()) } else { Err(TooManyPoints) }
    }

    fn note_overdrawn(&mut self) {
        let touched = self.touched.drain(..);
        let overdrawn = touched.filter(|asset| self.portfolio.is_overdrawn(asset));

        self.overdrawn.extend(overdrawn);
    }

    /// Ends with the last posting, or with the end of the period when it has one.
    ///
    /// # Errors
    /// [`TooManyPoints`] when the curve has no room for the last one.
    pub fn finish(mut self) -> Result<(Performance, Vec<Point>), TooManyPoints> {
        self.end_moment()?;
        self.begin_late();

        let points = self.curve.take().map(Curve::points).unwrap_or_default();
        let performance = self.performance();
        let unit = self.returns.unit(&performance.closing_value);
        let end = self.period.to.map(|to| to - TimeDelta::microseconds(1));
        let last = end.or(self.moment);

        let is_defined = performance.overdrawn.is_empty();
        let curve = last
            .filter(|_| is_defined)
            .and_then(|last| self.returns.finish(last));
        let performance = match curve {
            Some((fall, spread)) => performance.with_returns(&unit, fall, spread),
            None => performance,
        };
        Ok((performance, points))
    }

    /// Begins a period with a first moment in which nothing happened: there is only what it began with.
    fn begin_late(&mut self) {
        let Some(from) = self.period.from else {
            return;
        };
        let is_quiet = self.opening.is_none();
        self.begin(from);

        if is_quiet
            && let Some(curve) = &mut self.curve
            && let Some(start) = self.returns.begun()
        {
            let value = self.portfolio.value();
            curve.see(start, value, self.returns.unit(value));
        }
        self.note_overdrawn();
    }

    /// The figures that need no curve.
    fn performance(&self) -> Performance {
        let opening_value = self.opening.clone().unwrap_or_default();
        let closing_value = self.portfolio.value().clone();
        let start = self.returns.begun();
        let end = self.period.to.or(self.moment);

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
