//! How much one transaction takes on: less after a failure or when the work is slow, and more again with each success.

use std::time::Duration;

/// The limit of a transaction, in units of its owner such as bytes or dead letters.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    limit: u64,
    /// What a slow transaction leaves at least: most of the time of a small one does not depend on its size.
    least: u64,
    /// How long the work of one transaction should take at most.
    target: Duration,
}

impl Pace {
    pub(super) const fn new(start: u64, least: u64, target: Duration) -> Self {
        Self {
            limit: start,
            least,
            target,
        }
    }

    /// Returns how much the next transaction may take on; at least one unit.
    pub(super) const fn limit(self) -> u64 {
        self.limit
    }

    /// Records that `amount` was done within `took`. A fast transaction lets the next one take on twice as much, a slow one
    /// limits it to what fits the target, but to no less than the least.
    pub(super) fn succeeded(&mut self, amount: u64, took: Duration) {
        if amount == 0 {
            return;
        }
        if took > self.target {
            let fitting = fitting(amount, took, self.target).max(self.least);
            self.limit = self.limit.min(fitting);
        } else if took <= self.target / 2 {
            self.limit = self.limit.max(amount.saturating_mul(2));
        }
    }

    /// Records that only `amount` of what was done was of use: the next transaction takes on no more.
    pub(super) fn used(&mut self, amount: u64) {
        self.limit = self.limit.min(amount.max(self.least));
    }

    /// Records that a transaction with `amount` failed: the next one takes on at most half.
    pub(super) fn failed(&mut self, amount: u64) {
        self.limit = (amount / 2).max(1);
    }
}

/// Returns how much of `amount`, which took `took`, fits `target`.
fn fitting(amount: u64, took: Duration, target: Duration) -> u64 {
    let fitting = u128::from(amount) * target.as_micros() / took.as_micros().max(1);
    u64::try_from(fitting).unwrap_or(u64::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGET: Duration = Duration::from_millis(200);
    const FAST: Duration = Duration::from_millis(10);

    #[test]
    fn grows_by_doubling_after_a_failure() {
        let mut pace = Pace::new(1_000, 1, TARGET);

        pace.failed(1_000);
        pace.failed(500);

        for expected in [500, 1_000, 2_000] {
            pace.succeeded(pace.limit(), FAST);
            assert_eq!(pace.limit(), expected);
        }
    }

    #[test]
    fn a_slow_transaction_limits_the_next_to_what_fits() {
        let mut pace = Pace::new(1_000, 1, TARGET);

        pace.succeeded(1_000, TARGET * 10);

        assert_eq!(pace.limit(), 100);
    }

    #[test]
    fn a_slow_machine_leaves_the_least() {
        let mut pace = Pace::new(1_000, 50, TARGET);

        pace.succeeded(60, TARGET * 10);
        assert_eq!(pace.limit(), 50);
        pace.succeeded(1, TARGET * 10);
        assert_eq!(pace.limit(), 50);

        pace.failed(50);
        assert_eq!(pace.limit(), 25);
    }

    #[test]
    fn takes_on_no_more_than_was_of_use() {
        let mut pace = Pace::new(1_000, 1, TARGET);

        pace.succeeded(1_000, FAST);
        pace.used(30);

        assert_eq!(pace.limit(), 30);
    }

    #[test]
    fn a_transaction_near_the_target_changes_nothing() {
        let mut pace = Pace::new(1_000, 1, TARGET);

        pace.succeeded(900, TARGET * 3 / 4);

        assert_eq!(pace.limit(), 1_000);
    }

    #[test]
    fn a_failing_search_ends_with_one_unit() {
        let mut pace = Pace::new(u64::MAX, 1, TARGET);

        for _ in 0..u64::BITS {
            pace.failed(pace.limit());
        }

        assert_eq!(pace.limit(), 1);
        pace.succeeded(0, TARGET * 10);
        assert_eq!(pace.limit(), 1);
    }
}
