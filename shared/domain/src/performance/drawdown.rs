//! The deepest fall of a curve below what it had reached before.
//!
//! Owns: peaks and troughs. Must not know: what the curve is of.

use super::exact::Exact;
use chrono::{DateTime, Utc};

/// A fall from a peak to a trough.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fall {
    /// Part of the peak that was lost.
    pub(super) depth: Exact,
    /// When the peak was first reached.
    pub(super) peak: DateTime<Utc>,
    /// When the lowest value was first reached.
    pub(super) trough: DateTime<Utc>,
    /// When the peak was reached again; `None` while it was not.
    pub(super) recovery: Option<DateTime<Utc>>,
}

/// Follows a curve that begins at one.
#[derive(Clone, Debug)]
pub(super) struct Falls {
    peak: (DateTime<Utc>, Exact),
    deepest: Option<Fall>,
    /// Whether the deepest fall is the one that goes on.
    is_open: bool,
}

impl Falls {
    pub(super) fn from(start: DateTime<Utc>) -> Self {
        Self {
            peak: (start, Exact::one()),
            deepest: None,
            is_open: false,
        }
    }

    /// Sees the next value.
    pub(super) fn see(&mut self, time: DateTime<Utc>, value: &Exact) {
        if *value >= self.peak.1 {
            if let (true, Some(fall)) = (self.is_open, &mut self.deepest) {
                fall.recovery = Some(time);
            }
            self.is_open = false;
            if *value > self.peak.1 {
                self.peak = (time, value.clone());
            }
            return;
        }

        let lost = self.peak.1.minus(value);
        // Compared without a division, which only the deepest fall is worth.
        let depth = self
            .deepest
            .as_ref()
            .map_or_else(Exact::zero, |fall| fall.depth.clone());

        if lost > depth.times(&self.peak.1)
            && let Some(depth) = lost.over(&self.peak.1)
        {
            self.deepest = Some(Fall {
                depth,
                peak: self.peak.0,
                trough: time,
                recovery: None,
            });
            self.is_open = true;
        }
    }

    /// The deepest fall; `None` when there was none.
    pub(super) fn deepest(self) -> Option<Fall> {
        self.deepest
    }
}
