//! The quota of messages and bytes that a user may publish before others go first.
//!
//! Pure: the time is that of the broker, so that a backlog counts as it was published.

use crate::settings::Quota;
use std::collections::HashMap;
use uuid::Uuid;

const MINUTE_NANOS: u128 = 60_000_000_000;
/// How much of the quota can be used at once: the messages of six seconds, and the bytes of two. So many usual events have
/// fewer bytes; longer ones would hold up the others of the lane for as long as it parses them.
const EVENTS_BURST_NANOS: i64 = 6_000_000_000;
const BYTES_BURST_NANOS: i64 = 2_000_000_000;
/// Users that are remembered before those with an unused quota are forgotten.
const USERS_MAX: usize = 10_000;

/// What the users of a lane have used of their quotas.
#[derive(Debug)]
pub(super) struct Quotas {
    quota: Quota,
    users: HashMap<Uuid, Used>,
}

/// The moments until which a quota is used up, in nanoseconds since 1970 by the broker's clock.
#[derive(Clone, Copy, Debug, Default)]
struct Used {
    events: i64,
    bytes: i64,
}

impl Quotas {
    pub(super) fn new(quota: Quota) -> Self {
        Self {
            quota,
            users: HashMap::new(),
        }
    }

    /// Takes a message of `bytes` bytes, published at `time`, from the quota of `user`. Returns false, and takes nothing,
    /// when that exceeds it.
    pub(super) fn take(&mut self, user: Uuid, time: i64, bytes: usize) -> bool {
        if self.users.len() >= USERS_MAX {
            self.users
                .retain(|_, used| used.events.max(used.bytes) > time);
        }
        let events_max = time.saturating_add(EVENTS_BURST_NANOS);
        let bytes_max = time.saturating_add(BYTES_BURST_NANOS);
        let used = self.users.entry(user).or_default();
        // Later only when the broker's clock was set back.
        used.events = used.events.min(events_max);
        used.bytes = used.bytes.min(bytes_max);
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let events_until = after(used.events, time, 1, self.quota.events_per_minute);
        let bytes_until = after(used.bytes, time, bytes, self.quota.bytes_per_minute);

        if events_until > events_max || bytes_until > bytes_max {
            return false;
        }
        *used = Used {
            events: events_until,
            bytes: bytes_until,
        };
        true
    }
}

/// Returns until when a quota is used up after `amount` more at `time`.
fn after(until: i64, time: i64, amount: u64, per_minute: Option<u64>) -> i64 {
    let from = until.max(time);
    let Some(per_minute) = per_minute else {
        return from;
    };
    let nanos = u128::from(amount) * MINUTE_NANOS / u128::from(per_minute.max(1));
    from.saturating_add(i64::try_from(nanos).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ANN: Uuid = Uuid::from_u128(1);
    const BOB: Uuid = Uuid::from_u128(2);
    const SECOND: i64 = 1_000_000_000;
    const QUOTA: Quota = Quota {
        events_per_minute: Some(60),
        bytes_per_minute: Some(6_000),
    };

    #[test]
    fn allows_the_messages_of_six_seconds_at_once_and_then_the_rate() {
        let mut quotas = Quotas::new(QUOTA);

        let burst = (0..10).filter(|_| quotas.take(ANN, 0, 0)).count();
        assert_eq!(burst, 6);
        assert!(quotas.take(ANN, SECOND, 0));
        assert!(!quotas.take(ANN, SECOND, 0));
        assert!(quotas.take(BOB, SECOND, 0), "each user has a quota");
    }

    #[test]
    fn counts_bytes_beside_messages() {
        let mut quotas = Quotas::new(QUOTA);

        assert!(quotas.take(ANN, 0, 200));
        assert!(!quotas.take(ANN, 0, 1));
        assert!(quotas.take(ANN, SECOND, 100));
    }

    #[test]
    fn a_clock_that_is_set_back_costs_the_burst_at_most() {
        let mut quotas = Quotas::new(QUOTA);
        let day = 24 * 60 * 60 * SECOND;

        assert!(quotas.take(ANN, day, 0));

        assert!(!quotas.take(ANN, 0, 0));
        assert!(quotas.take(ANN, SECOND, 0));
    }

    #[test]
    fn no_quota_limits_nothing() {
        let mut quotas = Quotas::new(Quota::default());

        assert!((0..10_000).all(|_| quotas.take(ANN, 0, usize::MAX)));
    }

    proptest! {
        /// Over any time, no more passes than the burst and the rate allow.
        #[test]
        fn never_exceeds_the_rate(gaps in prop::collection::vec(0i64..3 * SECOND, 1..200)) {
            let mut quotas = Quotas::new(QUOTA);
            let mut time = 0;
            let mut taken = 0;

            for gap in gaps {
                time += gap;
                taken += i64::from(quotas.take(ANN, time, 0));
            }

            prop_assert!(taken <= 6 + time / SECOND);
        }
    }
}
