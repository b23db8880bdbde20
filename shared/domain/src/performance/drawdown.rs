//! The deepest drawdown of a curve.

use super::exact::Exact;
use chrono::{DateTime, Utc};

/// A fall from a peak to a trough.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drawdown {
    depth: Exact,
    /// When the peak was first reached.
    pub peak: DateTime<Utc>,
    /// When the lowest value was first reached.
    pub trough: DateTime<Utc>,
    /// When the peak was reached again; `None` if it was not.
    pub recovery: Option<DateTime<Utc>>,
}

impl Drawdown {
    /// Returns the lost part of the peak, 0 to 1.
    #[must_use]
    pub fn depth(&self) -> f64 {
        self.depth.nearest()
    }
}

/// Follows a curve that begins at one.
#[derive(Clone, Debug)]
pub(super) struct Drawdowns {
    peak: (DateTime<Utc>, Exact),
    pub(super) deepest: Option<Drawdown>,
    /// Whether the deepest drawdown is the current one.
    is_open: bool,
}

impl Drawdowns {
    pub(super) fn from(start: DateTime<Utc>) -> Self {
        Self {
            peak: (start, Exact::one()),
            deepest: None,
            is_open: false,
        }
    }

    pub(super) fn record(&mut self, time: DateTime<Utc>, value: &Exact) {
        if *value >= self.peak.1 {
            if let (true, Some(deepest)) = (self.is_open, &mut self.deepest) {
                deepest.recovery = Some(time);
            }
            self.is_open = false;
            if *value > self.peak.1 {
                self.peak = (time, value.clone());
            }
            return;
        }

        let lost = self.peak.1.minus(value);
        let deepest = self.deepest.as_ref();
        // The comparison avoids a division, which only a new deepest drawdown needs.
        let limit = deepest.map(|deepest| deepest.depth.times(&self.peak.1));

        if lost > limit.unwrap_or_default()
            && let Some(depth) = lost.over(&self.peak.1)
        {
            self.deepest = Some(Drawdown {
                depth,
                peak: self.peak.0,
                trough: time,
                recovery: None,
            });
            self.is_open = true;
        }
    }
}
