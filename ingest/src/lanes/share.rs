//! Decides how many lanes a worker takes or gives back. Every worker decides for itself from the same figures.

/// The next change of a worker's lanes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Move {
    /// Give back this many lanes, each after its batch.
    GiveBack(u32),
    /// Take at most this many free lanes.
    Take(u32),
}

/// Decides for a worker that owns `held` of `lanes` lanes while `workers` are alive, itself included.
#[must_use]
pub(super) fn decide(lanes: u32, workers: u32, held: u32) -> Move {
    let share = lanes.div_ceil(workers.max(1));
    match held.checked_sub(share) {
        Some(surplus @ 1..) => Move::GiveBack(surplus),
        Some(0) | None => Move::Take(share.saturating_sub(held)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn workers_reach_fair_shares_and_leave_no_lane_free(
            mut free in 0u32..40, mut held in proptest::collection::vec(0u32..20, 1..12),
        ) {
            // A dead worker leaves its lanes free.
            let lanes = free + held.iter().sum::<u32>();
            let workers = u32::try_from(held.len()).expect("few");

            for _ in 0..2 {
                for mine in &mut held {
                    match decide(lanes, workers, *mine) {
                        Move::GiveBack(count) => { *mine -= count; free += count; }
                        Move::Take(most) => {
                            let taken = most.min(free);
                            *mine += taken;
                            free -= taken;
                        }
                    }
                }
            }
            prop_assert_eq!(free, 0);
            prop_assert!(held.iter().all(|mine| *mine <= lanes.div_ceil(workers)), "{:?}", held);

            prop_assert!(held.iter().all(|mine| matches!(decide(lanes, workers, *mine), Move::Take(_))));
        }
    }
}
