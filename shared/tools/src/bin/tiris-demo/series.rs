//! A price series generated from a seed: a random walk in whole units, the same on every machine.

use tiris_domain::money::Money;

/// Start and bounds of the walk, in units of 10^-18: 0.1 within 0.02 to 0.5.
const START_UNITS: i128 = 100_000_000_000_000_000;
const LOWEST_UNITS: i128 = 20_000_000_000_000_000;
const HIGHEST_UNITS: i128 = 500_000_000_000_000_000;
/// Widest step, in parts of [`STEP_PARTS`]: 0.3 %.
const STEP_MAX: u64 = 300;
const STEP_PARTS: i128 = 100_000;
/// Prices have eight decimals, as exchanges quote them.
const TICK_UNITS: i128 = 10_000_000_000;

/// An endless series of prices.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    state: u64,
    units: i128,
}

impl Series {
    pub(crate) const fn new(seed: u64) -> Self {
        Self {
            state: seed,
            units: START_UNITS,
        }
    }

    /// Returns the next number of SplitMix64, which never changes, unlike the generators of libraries.
    const fn next_random(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}

impl Iterator for Series {
    type Item = Money;

    fn next(&mut self) -> Option<Money> {
        let step = i128::from(self.next_random() % (2 * STEP_MAX + 1)) - i128::from(STEP_MAX);
        let moved = self.units + self.units * step / STEP_PARTS;
        self.units = moved.clamp(LOWEST_UNITS, HIGHEST_UNITS) / TICK_UNITS * TICK_UNITS;
        Money::from_units(self.units)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_determines_the_prices() {
        let first = |seed| Series::new(seed).take(1_000).collect::<Vec<_>>();
        let within = |price: &Money| (LOWEST_UNITS..=HIGHEST_UNITS).contains(&price.units());

        assert_eq!(first(7), first(7));
        assert_ne!(first(7), first(8));
        assert!(first(7).iter().all(within));
    }
}
