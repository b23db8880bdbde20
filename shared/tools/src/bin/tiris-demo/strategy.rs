//! The strategy: buys and sells when two moving averages of the closing price cross, in exact integer arithmetic.

use std::cmp::Ordering;
use std::collections::VecDeque;
use tiris_domain::money::Money;

/// Longest average, in candles.
pub(crate) const CANDLES_MAX: i64 = 1_000;
/// Closing prices are compared to twelve decimals, so that products of sums fit 128 bits.
const CLOSE_UNITS: i128 = 1_000_000;
/// Confidence has four decimals; it is 1 when the averages are at least one hundredth apart.
const CONFIDENCE_STEPS: i128 = 10_000;
const CONFIDENCE_STEP_UNITS: i128 = 100_000_000_000_000;
const CERTAIN_PARTS: i128 = 100;

/// The side of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Buy,
    Sell,
}

impl Side {
    /// Returns its spelling in events.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Buy => "buy",
            Self::Sell => "sell",
        }
    }
}

/// The outcome of a candle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Signal {
    /// The recommended order; `None` means to hold.
    pub(crate) advice: Option<Side>,
    /// The distance of the averages, from 0 to 1.
    pub(crate) confidence: Money,
}

/// The two averages over the candles seen so far.
#[derive(Clone, Debug)]
pub(crate) struct Crossover {
    fast: u16,
    slow: u16,
    closes: VecDeque<i128>,
    /// Whether the fast average was above the slow one when they last differed.
    above: Option<bool>,
}

impl Crossover {
    /// Returns averages over `fast` and `slow` candles; 0 < fast < slow <= [`CANDLES_MAX`].
    pub(crate) const fn new(fast: u16, slow: u16) -> Self {
        Self {
            fast,
            slow,
            closes: VecDeque::new(),
            above: None,
        }
    }

    /// Returns its name in signals.
    pub(crate) fn name(&self) -> String {
        format!("sma_crossover_{}_{}", self.fast, self.slow)
    }

    /// Adds the next closing price.
    pub(crate) fn push(&mut self, close: Money) -> Signal {
        self.closes.push_back(close.units() / CLOSE_UNITS);
        if self.closes.len() < usize::from(self.slow) {
            return Signal::default();
        }
        if self.closes.len() > usize::from(self.slow) {
            self.closes.pop_front();
        }

        // Each sum times the other's length: compared like the averages, without a division.
        let fast_sum: i128 = self.closes.iter().rev().take(usize::from(self.fast)).sum();
        let slow_sum: i128 = self.closes.iter().sum();
        let fast = fast_sum * i128::from(self.slow);
        let slow = slow_sum * i128::from(self.fast);

        let above = match fast.cmp(&slow) {
            Ordering::Greater => Some(true),
            Ordering::Less => Some(false),
            Ordering::Equal => self.above,
        };
        let advice = match (self.above, above) {
            (Some(false), Some(true)) => Some(Side::Buy),
            (Some(true), Some(false)) => Some(Side::Sell),
            _ => None,
        };

        self.above = above;
        Signal {
            advice,
            confidence: confidence(fast - slow, slow),
        }
    }
}

fn confidence(distance: i128, of: i128) -> Money {
    let steps = distance.abs() * CERTAIN_PARTS * CONFIDENCE_STEPS / of.max(1);
    let units = steps.min(CONFIDENCE_STEPS) * CONFIDENCE_STEP_UNITS;
    Money::from_units(units).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::Side::{Buy, Sell};
    use super::*;

    fn advice(fast: u16, slow: u16, closes: &[i64]) -> Vec<Option<Side>> {
        let mut crossover = Crossover::new(fast, slow);
        let money = |close: &i64| close.to_string().parse().expect("a whole number");
        closes
            .iter()
            .map(|close| crossover.push(money(close)).advice)
            .collect()
    }

    #[test]
    fn buys_and_sells_when_the_averages_cross() {
        // Averages of 1 and 3: the close itself against the mean of the last three.
        assert_eq!(
            advice(1, 3, &[5, 4, 3, 6, 7, 5, 5, 9]),
            [
                None,
                None,
                None,
                Some(Buy),
                None,
                Some(Sell),
                None,
                Some(Buy)
            ]
        );
    }

    #[test]
    fn equal_averages_are_not_a_crossing() {
        assert_eq!(advice(1, 2, &[5, 5, 6, 6, 6, 7]), [None; 6]);
    }

    #[test]
    fn confidence_is_the_distance_of_the_averages_up_to_one() {
        let mut crossover = Crossover::new(1, 2);
        let mut confidence = |close: &str| {
            let signal = crossover.push(close.parse().expect(close));
            signal.confidence.to_string()
        };

        assert_eq!(confidence("1"), "0");
        assert_eq!(confidence("1.004"), "0.1996");
        assert_eq!(confidence("9"), "1");
    }
}
