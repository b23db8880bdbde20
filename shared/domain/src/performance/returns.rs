//! What the value between flows makes of one unit: the time-weighted return, and all that is read from its curve.
//!
//! Owns: chaining the returns of the time between flows. Must not know: why something is a flow.

use super::days::{Days, Spread};
use super::drawdown::{Fall, Falls};
use super::exact::Exact;
use chrono::{DateTime, Utc};

/// The curve of one unit, which is worth one when the trading first has a value.
#[derive(Clone, Debug)]
pub(super) struct Returns {
    /// What one unit was worth after the last flow, and all there was then.
    unit: Exact,
    base: Exact,
    begun: Option<Begun>,
}

#[derive(Clone, Debug)]
struct Begun {
    at: DateTime<Utc>,
    falls: Falls,
    days: Days,
}

impl Returns {
    /// A curve that begins when the value is first above zero.
    pub(super) fn new() -> Self {
        Self {
            unit: Exact::one(),
            base: Exact::zero(),
            begun: None,
        }
    }

    /// When it began.
    pub(super) fn begun(&self) -> Option<DateTime<Utc>> {
        self.begun.as_ref().map(|begun| begun.at)
    }

    /// What one unit is worth when all there is is worth `value`. Without a value before there is nothing to win from.
    pub(super) fn unit(&self, value: &Exact) -> Exact {
        if !self.base.is_positive() {
            return self.unit.clone();
        }
        let unit = self.unit.times(value).over(&self.base).unwrap_or_default();

        if unit.is_negative() {
            Exact::zero()
        } else {
            unit
        }
    }

    /// So much comes in, or goes out, while all there is is worth `value`.
    pub(super) fn flow(&mut self, time: DateTime<Utc>, value: &Exact, flow: &Exact) {
        self.unit = self.unit(value);
        self.base = value.plus(flow);
        if self.begun.is_none() && self.base.is_positive() {
            self.begun = Some(Begun {
                at: time,
                falls: Falls::from(time),
                days: Days::from(time),
            });
        }
    }

    /// A moment is over, and all there is is worth `value`; answers what one unit is worth then.
    pub(super) fn see(&mut self, time: DateTime<Utc>, value: &Exact) -> Exact {
        let unit = self.unit(value);
        if let Some(begun) = &mut self.begun {
            begun.falls.see(time, &unit);
            begun.days.see(time, unit.clone());
        }
        unit
    }

    /// The deepest fall and the spread of daily returns until `last`; `None` when it never began.
    pub(super) fn finish(self, last: DateTime<Utc>) -> Option<(Option<Fall>, Spread)> {
        let begun = self.begun?;
        Some((begun.falls.deepest(), begun.days.spread(last)))
    }
}
