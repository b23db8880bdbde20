//! The time-weighted return: the value of one unit, chained over the periods between flows.

use super::days::Days;
use super::drawdown::Drawdowns;
use super::exact::{Exact, UNIT_PLACES};
use chrono::{DateTime, Utc};

/// The curve of one unit, which is worth one when the trading first has a value.
#[derive(Clone, Debug)]
pub(super) struct Returns {
    /// The value of one unit after the last flow.
    unit: Exact,
    /// The total value after the last flow.
    base: Exact,
    pub(super) begun: Option<Begun>,
}

/// The curve since its start.
#[derive(Clone, Debug)]
pub(super) struct Begun {
    pub(super) at: DateTime<Utc>,
    pub(super) drawdowns: Drawdowns,
    pub(super) days: Days,
}

impl Returns {
    /// Creates a curve that begins when the value is first above zero.
    pub(super) fn new() -> Self {
        Self {
            unit: Exact::one(),
            base: Exact::default(),
            begun: None,
        }
    }

    pub(super) fn start(&self) -> Option<DateTime<Utc>> {
        self.begun.as_ref().map(|begun| begun.at)
    }

    /// Returns the value of one unit at a total `value`; it does not change without a value before.
    pub(super) fn unit(&self, value: &Exact) -> Exact {
        if !self.base.is_positive() {
            return self.unit.clone();
        }

        let unit = self.unit.share(value, &self.base, UNIT_PLACES);
        unit.filter(Exact::is_positive).unwrap_or_default()
    }

    /// Records a signed flow at the total `value` before it.
    pub(super) fn flow(&mut self, time: DateTime<Utc>, value: &Exact, flow: &Exact) {
        self.unit = self.unit(value);
        self.base = value.plus(flow);

        if self.begun.is_none() && self.base.is_positive() {
            self.begun = Some(Begun {
                at: time,
                drawdowns: Drawdowns::from(time),
                days: Days::from(time),
            });
        }
    }

    /// Records the total `value` at a time and returns the value of one unit.
    pub(super) fn record(&mut self, time: DateTime<Utc>, value: &Exact) -> Exact {
        let unit = self.unit(value);

        if let Some(begun) = &mut self.begun {
            begun.drawdowns.record(time, &unit);
            begun.days.record(time, unit.clone());
        }
        unit
    }
}
