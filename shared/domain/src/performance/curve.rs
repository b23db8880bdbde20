//! The curve of value and unit value, with a point for every hour or day that has a posting.

use super::exact::Exact;
use chrono::{DateTime, TimeDelta, Utc};

/// Maximum number of points of a curve.
pub const POINTS_MAX: usize = 10_000;

/// The length of the intervals of a history, which begin at full hours or days in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interval {
    /// A full hour, UTC.
    Hour,
    /// A full day, UTC.
    Day,
}

impl Interval {
    /// Returns the name of the unit in PostgreSQL.
    #[must_use]
    pub const fn unit(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }

    /// Returns the length of the interval.
    #[must_use]
    pub const fn length(self) -> TimeDelta {
        match self {
            Self::Hour => TimeDelta::hours(1),
            Self::Day => TimeDelta::days(1),
        }
    }

    /// Returns the start of the interval that contains a time.
    #[must_use]
    pub fn start(self, time: DateTime<Utc>) -> DateTime<Utc> {
        let seconds = self.length().num_seconds();
        let start = time.timestamp().div_euclid(seconds) * seconds;

        DateTime::from_timestamp(start, 0).unwrap_or(time)
    }
}

/// The state at the end of an interval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Point {
    /// The start of the interval.
    pub time: DateTime<Utc>,
    /// The value of the measured assets.
    pub value: Exact,
    /// Inflows less outflows during the interval.
    pub flows: Exact,
    /// The value of one unit, which is worth one at the start of the curve.
    pub unit: Exact,
}

impl Point {
    /// Returns the value of one unit as the nearest float.
    #[must_use]
    pub fn unit_value(&self) -> f64 {
        self.unit.nearest()
    }
}

/// Collects the points of a curve.
#[derive(Debug)]
pub(super) struct Curve {
    interval: Interval,
    pub(super) points: Vec<Point>,
    /// The flows since the last point.
    flows: Exact,
}

impl Curve {
    pub(super) fn new(interval: Interval) -> Self {
        Self {
            interval,
            points: Vec::new(),
            flows: Exact::default(),
        }
    }

    pub(super) fn flow(&mut self, flow: &Exact) {
        self.flows = self.flows.plus(flow);
    }

    /// Records the values at a time; returns whether the curve is within [`POINTS_MAX`].
    pub(super) fn record(&mut self, time: DateTime<Utc>, value: &Exact, unit: Exact) -> bool {
        let time = self.interval.start(time);
        let mut flows = std::mem::take(&mut self.flows);
        if let Some(earlier) = self.points.pop_if(|point| point.time == time) {
            flows = earlier.flows.plus(&flows);
        }

        self.points.push(Point {
            time,
            value: value.clone(),
            flows,
            unit,
        });
        self.points.len() <= POINTS_MAX
    }
}
