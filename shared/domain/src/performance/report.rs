//! The figures of a period.

use super::drawdown::Drawdown;
use super::exact::Exact;
use super::returns::Begun;
use super::trades::TradeFigures;
use crate::ledger::Asset;
use chrono::{DateTime, TimeDelta, Utc};

/// The shortest period with an annual return.
const ANNUALIZED_MIN: TimeDelta = TimeDelta::days(7);
/// A year of 365.25 days.
const YEAR: TimeDelta = TimeDelta::hours(8_766);

/// The figures of a period. A ratio is `None` where it is not defined.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Performance {
    /// The first time with a value; `None` without one.
    pub start: Option<DateTime<Utc>>,
    /// The end of the period.
    pub end: Option<DateTime<Utc>>,
    /// The value of the measured assets at the start of the period.
    pub opening_value: Exact,
    /// The value of the measured assets at the end of the period.
    pub closing_value: Exact,
    /// Inflows less outflows.
    pub flows: Exact,
    /// The closing value less the opening value and the flows.
    pub profit: Exact,
    /// The return of one unit.
    pub time_weighted_return: Option<f64>,
    /// The annual return of one unit.
    pub cagr: Option<f64>,
    /// The annual standard deviation of daily returns.
    pub volatility: Option<f64>,
    /// The annual ratio of mean daily return to standard deviation.
    pub sharpe: Option<f64>,
    /// The annual ratio of mean daily return to downside deviation.
    pub sortino: Option<f64>,
    /// The deepest drawdown of one unit; `None` without one.
    pub max_drawdown: Option<Drawdown>,
    /// The figures of the trades.
    pub trades: TradeFigures,
    /// Assets that never had a price and are left out.
    pub unpriced: Vec<Asset>,
    /// Assets of which more was spent than held, by event time; with any of them no return is defined.
    pub overdrawn: Vec<Asset>,
}

impl Performance {
    /// Adds the figures of the curve of one unit until `last`; the unit is worth `unit` at the end.
    pub(super) fn with_returns(self, unit: &Exact, curve: Begun, last: DateTime<Utc>) -> Self {
        let (Some(start), Some(end)) = (self.start, self.end) else {
            return self;
        };

        let spread = curve.days.spread(last);
        let finite = |figure: Option<f64>| figure.filter(|figure| figure.is_finite());
        Self {
            time_weighted_return: finite(Some(unit.minus(&Exact::one()).nearest())),
            cagr: finite(annualized(unit, end - start)),
            volatility: finite(spread.volatility),
            sharpe: finite(spread.sharpe),
            sortino: finite(spread.sortino),
            max_drawdown: curve.drawdowns.deepest,
            ..self
        }
    }
}

/// Returns the annual return of one unit that is worth `unit` after `time`.
#[expect(
    clippy::float_arithmetic,
    reason = "a root of any degree has no exact decimal"
)]
fn annualized(unit: &Exact, time: TimeDelta) -> Option<f64> {
    if time < ANNUALIZED_MIN {
        return None;
    }

    let micros = |time: TimeDelta| u64::try_from(time.num_microseconds()?).ok();
    let years = Exact::from(micros(YEAR)?).over(&micros(time)?.into())?;
    Some(unit.nearest().powf(years.nearest()) - 1.0)
}
