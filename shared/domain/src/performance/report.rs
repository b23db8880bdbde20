//! What comes out of the fold.
//!
//! Owns: the figures of a period, and which are not defined when. Must not know: how they are shown.

use super::days::Spread;
use super::drawdown::Fall;
use super::exact::Exact;
use super::trades::TradeFigures;
use crate::ledger::Asset;
use chrono::{DateTime, TimeDelta, Utc};

/// Shorter than this a return says nothing about a year.
const ANNUALISED_MIN: TimeDelta = TimeDelta::days(7);
/// A year of 365.25 days.
const YEAR: TimeDelta = TimeDelta::hours(8_766);

/// The deepest fall of the curve of returns.
#[derive(Clone, Debug, PartialEq)]
pub struct Drawdown {
    /// Part of the peak that was lost.
    pub depth: f64,
    /// When the peak was first reached.
    pub peak: DateTime<Utc>,
    /// When the lowest value was first reached.
    pub trough: DateTime<Utc>,
    /// When the peak was reached again; `None` while it was not.
    pub recovery: Option<DateTime<Utc>>,
}

/// The figures of a period. A ratio is `None` where it is not defined.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Performance {
    /// The first moment with a value; `None` when there was none.
    pub start: Option<DateTime<Utc>>,
    /// The end of the period.
    pub end: Option<DateTime<Utc>>,
    /// Worth of what was there when the period began.
    pub opening_value: Exact,
    /// Worth of what was there when it ended.
    pub closing_value: Exact,
    /// What flowed in, less what flowed out.
    pub flows: Exact,
    /// What was won: closing value less opening value and flows.
    pub profit: Exact,
    /// Return of one unit.
    pub time_weighted_return: Option<f64>,
    /// The same for a year.
    pub cagr: Option<f64>,
    /// Deviation of daily returns, for a year.
    pub volatility: Option<f64>,
    /// Mean daily return over their deviation, for a year.
    pub sharpe: Option<f64>,
    /// Mean daily return over their downside deviation, for a year.
    pub sortino: Option<f64>,
    /// The deepest fall; `None` when there was none.
    pub max_drawdown: Option<Drawdown>,
    /// What trades made.
    pub trades: TradeFigures,
    /// Assets that never had a price and are left out.
    pub unpriced: Vec<Asset>,
    /// Assets of which more was given than there was, by event time: then no return is defined.
    pub overdrawn: Vec<Asset>,
}

impl Performance {
    /// The figures of nothing.
    #[must_use]
    pub fn nothing() -> Self {
        Self::default()
    }

    /// Adds what is read from the curve of one unit, which is worth `unit` at the end.
    pub(super) fn with_returns(self, unit: &Exact, fall: Option<Fall>, spread: Spread) -> Self {
        let (Some(start), Some(end)) = (self.start, self.end) else {
            return self;
        };

        let finite = |figure: Option<f64>| figure.filter(|figure| figure.is_finite());
        Self {
            time_weighted_return: finite(Some(unit.minus(&Exact::one()).nearest())),
            cagr: finite(annualised(unit, end - start)),
            volatility: finite(spread.volatility),
            sharpe: finite(spread.sharpe),
            sortino: finite(spread.sortino),
            max_drawdown: fall.map(|fall| Drawdown {
                depth: fall.depth.nearest(),
                peak: fall.peak,
                trough: fall.trough,
                recovery: fall.recovery,
            }),
            ..self
        }
    }
}

/// The yearly return that makes `unit` of one in so much time.
#[expect(
    clippy::float_arithmetic,
    reason = "a root of any degree has no exact decimal"
)]
fn annualised(unit: &Exact, time: TimeDelta) -> Option<f64> {
    if time < ANNUALISED_MIN {
        return None;
    }

    let micros = |time: TimeDelta| {
        u64::try_from(time.num_microseconds()?)
            .ok()
            .map(Exact::from)
    };
    let years = micros(YEAR)?.over(&micros(time)?)?.nearest();
    Some(unit.nearest().powf(years) - 1.0)
}
