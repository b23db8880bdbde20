//! The curve of value and unit value, at the end of every hour or day in which something happened.
//!
//! Owns: where hours and days begin (UTC), and how many points there may be. Must not know: what makes the values.

use super::exact::Exact;
use chrono::{DateTime, TimeDelta, Utc};

/// Points of a curve at most.
pub const POINTS_MAX: usize = 10_000;

/// How long a piece of a history is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interval {
    /// An hour.
    Hour,
    /// A day, UTC.
    Day,
}

impl Interval {
    /// As PostgreSQL calls it.
    #[must_use]
    pub const fn unit(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }

    /// Its length.
    #[must_use]
    pub const fn length(self) -> TimeDelta {
        match self {
            Self::Hour => TimeDelta::hours(1),
            Self::Day => TimeDelta::days(1),
        }
    }

    /// The beginning of the piece a moment is in.
    #[must_use]
    pub fn start(self, time: DateTime<Utc>) -> DateTime<Utc> {
        let seconds = self.length().num_seconds();
        let start = time.timestamp().div_euclid(seconds) * seconds;
        DateTime::from_timestamp(start, 0).unwrap_or(time)
    }
}

/// The state at the end of one piece.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Point {
    /// Its beginning.
    pub time: DateTime<Utc>,
    /// Worth of what is measured.
    pub value: Exact,
    /// What flowed in during it, less what flowed out.
    pub flows: Exact,
    /// What one unit is worth that was worth one at the beginning.
    pub unit: Exact,
}

impl Point {
    /// What one unit is worth, as the nearest float.
    #[must_use]
    pub fn unit_value(&self) -> f64 {
        self.unit.nearest()
    }
}

/// Follows value and unit value.
#[derive(Debug)]
pub(super) struct Curve {
    interval: Interval,
    points: Vec<Point>,
    /// What flowed since it was last seen.
    flows: Exact,
}

impl Curve {
    pub(super) fn new(interval: Interval) -> Self {
        Self {
            interval,
            points: Vec::new(),
            flows: Exact::zero(),
        }
    }

    pub(super) fn flow(&mut self, flow: &Exact) {
        self.flows = self.flows.plus(flow);
    }

    /// Sees the next values; whether there is room for them.
    pub(super) fn see(&mut self, time: DateTime<Utc>, value: &Exact, unit: Exact) -> bool {
        let time = self.interval.start(time);
        let earlier = self.points.pop_if(|point| point.time == time);
        let flows = std::mem::take(&mut self.flows);

        self.points.push(Point {
            time,
            value: value.clone(),
            flows: match earlier {
                Some(point) => point.flows.plus(&flows),
                None => flows,
            },
            unit,
        });
        self.points.len() <= POINTS_MAX
    }

    pub(super) fn points(self) -> Vec<Point> {
        self.points
    }
}
