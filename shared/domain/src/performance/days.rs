//! Returns by UTC day, and how they spread.
//!
//! Owns: where a day ends, days without a change, and the sums that means and deviations are made of. Must not know: what
//! the curve is of.

use super::exact::Exact;
use chrono::{DateTime, NaiveDate, Utc};

/// Days of a year: these markets never close.
const DAYS_A_YEAR: u64 = 365;

/// Follows a curve that begins at one and closes it at the end of each day.
#[derive(Clone, Debug)]
pub(super) struct Days {
    day: NaiveDate,
    /// The curve when the day began, and as it was last seen.
    opening: Exact,
    last: Exact,
    sums: Sums,
}

/// Of the returns of all days that are over.
#[derive(Clone, Debug, Default)]
struct Sums {
    count: u64,
    sum: Exact,
    squares: Exact,
    /// Squares of those below zero.
    squares_below: Exact,
}

/// How returns spread over a year; `None` where that is not defined.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Spread {
    pub(super) volatility: Option<f64>,
    pub(super) sharpe: Option<f64>,
    pub(super) sortino: Option<f64>,
}

impl Days {
    pub(super) fn from(start: DateTime<Utc>) -> Self {
        Self {
            day: start.date_naive(),
            opening: Exact::one(),
            last: Exact::one(),
            sums: Sums::default(),
        }
    }

    /// Sees the next value.
    pub(super) fn see(&mut self, time: DateTime<Utc>, value: Exact) {
        self.reach(time.date_naive());
        self.last = value;
    }

    /// Closes all days before `day`.
    fn reach(&mut self, day: NaiveDate) {
        let Ok(passed) = u64::try_from(day.signed_duration_since(self.day).num_days()) else {
            return;
        };
        if passed == 0 {
            return;
        }

        // After a total loss there is nothing to win or lose.
        let change = self
            .last
            .minus(&self.opening)
            .over(&self.opening)
            .unwrap_or_default();
        self.sums.add(&change);
        self.sums.count += passed - 1;

        self.day = day;
        self.opening = self.last.clone();
    }

    /// The spread over all days until that of the last moment, which counts as a whole one.
    pub(super) fn spread(mut self, last: DateTime<Utc>) -> Spread {
        let next = last.date_naive().succ_opt();
        self.reach(next.unwrap_or(self.day));
        self.sums.spread()
    }
}

impl Sums {
    fn add(&mut self, change: &Exact) {
        let square = change.times(change);
        self.count += 1;
        self.sum = self.sum.plus(change);
        if change.is_negative() {
            self.squares_below = self.squares_below.plus(&square);
        }
        self.squares = self.squares.plus(&square);
    }

    /// Every figure is the root of a quotient, which is taken last. With m the mean of n returns:
    /// variance = (squares - n m^2) / (n - 1), downside = squares below zero / n.
    fn spread(&self) -> Spread {
        if self.count < 2 {
            return Spread::default();
        }
        let count = Exact::from(self.count);
        let Some(mean) = self.sum.over(&count) else {
            return Spread::default();
        };

        let around = self.squares.minus(&mean.times(&self.sum));
        let variance = around.over(&Exact::from(self.count - 1));
        // What a division cut off may leave a trace where all returns are equal.
        let variance = variance
            .filter(|variance| variance.is_positive())
            .unwrap_or_default();
        let downside = self.squares_below.over(&count);

        let year = Exact::from(DAYS_A_YEAR);
        let annual = |square: &Exact| square.times(&year).nearest().sqrt();
        let per =
            |risk: &Exact| Some(annual(&mean.times(&mean).over(risk)?).copysign(mean.nearest()));
        Spread {
            volatility: Some(annual(&variance)),
            sharpe: per(&variance),
            sortino: downside.as_ref().and_then(per),
        }
    }
}
