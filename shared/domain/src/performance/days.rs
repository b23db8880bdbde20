//! Returns by UTC day, and their spread.

use super::exact::Exact;
use chrono::{DateTime, NaiveDate, Utc};

/// Trading days of a year: these markets never close.
const DAYS_A_YEAR: u64 = 365;

/// Follows the value of one unit, which begins at one, and closes it at the end of each day.
#[derive(Clone, Debug)]
pub(super) struct Days {
    day: NaiveDate,
    /// The value at the start of the day.
    opening: Exact,
    last: Exact,
    sums: Sums,
}

/// Sums over the returns of all closed days.
#[derive(Clone, Debug, Default)]
struct Sums {
    count: u64,
    sum: Exact,
    squares: Exact,
    /// The sum of the squares of negative returns.
    negative_squares: Exact,
}

/// The annual spread of daily returns; `None` where a figure is not defined.
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

    pub(super) fn record(&mut self, time: DateTime<Utc>, value: Exact) {
        self.close_before(time.date_naive());
        self.last = value;
    }

    /// Closes all days before `day`.
    fn close_before(&mut self, day: NaiveDate) {
        let passed = day.signed_duration_since(self.day).num_days();
        let Ok(passed @ 1..) = u64::try_from(passed) else {
            return;
        };

        // After a total loss the return is zero.
        let change = self.last.minus(&self.opening).over(&self.opening);
        self.sums.add(&change.unwrap_or_default());
        self.sums.count += passed - 1;

        self.day = day;
        self.opening = self.last.clone();
    }

    /// Returns the spread over all days up to that of `last`, which counts as a whole day.
    pub(super) fn spread(mut self, last: DateTime<Utc>) -> Spread {
        let next = last.date_naive().succ_opt();

        self.close_before(next.unwrap_or(self.day));
        self.sums.spread().unwrap_or_default()
    }
}

impl Sums {
    fn add(&mut self, change: &Exact) {
        let square = change.times(change);

        self.count += 1;
        self.sum = self.sum.plus(change);
        if change.is_negative() {
            self.negative_squares = self.negative_squares.plus(&square);
        }
        self.squares = self.squares.plus(&square);
    }

    /// Returns the spread of two or more returns. With m the mean of n returns:
    /// variance = (squares - n m^2) / (n - 1), downside = negative squares / n.
    ///
    /// Each figure is the root of a quotient, which is taken last.
    fn spread(&self) -> Option<Spread> {
        if self.count < 2 {
            return None;
        }
        let count = Exact::from(self.count);
        let mean = self.sum.over(&count)?;

        let deviations = self.squares.minus(&mean.times(&self.sum));
        let variance = deviations.over(&Exact::from(self.count - 1));
        // The rounding of a division can leave a negative variance where all returns are equal.
        let variance = variance.filter(Exact::is_positive).unwrap_or_default();
        let downside = self.negative_squares.over(&count);

        let year = Exact::from(DAYS_A_YEAR);
        let annual = |square: &Exact| square.times(&year).nearest().sqrt();
        let per =
            |risk: &Exact| Some(annual(&mean.times(&mean).over(risk)?).copysign(mean.nearest()));
        Some(Spread {
            volatility: Some(annual(&variance)),
            sharpe: per(&variance),
            sortino: downside.as_ref().and_then(per),
        })
    }
}
