//! The share of a lane's time that work beside its new messages may take.

use std::time::Duration;

/// Time that is owed to new messages before the other work continues.
#[derive(Clone, Copy, Debug)]
pub(super) struct Share {
    owed: Duration,
    /// Time owed for each unit of time taken.
    price: u32,
}

impl Share {
    /// Returns a share of one part in `parts` of the time.
    pub(super) const fn one_in(parts: u32) -> Self {
        Self {
            owed: Duration::ZERO,
            price: parts.saturating_sub(1),
        }
    }

    /// Returns whether the other work may take time now.
    pub(super) const fn is_free(self) -> bool {
        self.owed.is_zero()
    }

    /// Records that the other work took time.
    pub(super) fn take(&mut self, time: Duration) {
        self.owed = self.owed.saturating_add(time.saturating_mul(self.price));
    }

    /// Records that new messages took time.
    pub(super) fn give(&mut self, time: Duration) {
        self.owed = self.owed.saturating_sub(time);
    }

    /// Returns how long to wait for new messages before the other work continues, so that it takes at most half of the time
    /// of a lane without any: other lanes need the machine too.
    pub(super) fn rest(self) -> Duration {
        self.owed / self.price.max(1)
    }

    /// Records that no new message waits: nothing is owed.
    pub(super) fn forgive(&mut self) {
        self.owed = Duration::ZERO;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLI: Duration = Duration::from_millis(1);

    #[test]
    fn takes_no_more_than_its_part_while_messages_wait() {
        for parts in 1..5 {
            let mut share = Share::one_in(parts);
            let mut taken = Duration::ZERO;
            let total: u32 = 1_000;

            for _ in 0..total {
                if share.is_free() {
                    share.take(MILLI);
                    taken += MILLI;
                } else {
                    share.give(MILLI);
                }
            }

            assert_eq!(taken, MILLI * total.div_ceil(parts));
        }
    }

    #[test]
    fn owes_nothing_while_no_message_waits() {
        let mut share = Share::one_in(2);

        share.take(MILLI);
        assert!(!share.is_free());
        share.forgive();

        assert!(share.is_free());
        assert_eq!(share.rest(), Duration::ZERO);
    }

    #[test]
    fn rests_as_long_as_it_worked_while_no_message_waits() {
        for parts in 2..5 {
            let mut share = Share::one_in(parts);

            share.take(MILLI);

            assert_eq!(share.rest(), MILLI);
        }
    }
}
