//! The strategy: two moving averages of the closing price, and what their crossing says.
//!
//! Owns: when to buy and when to sell, in exact integer arithmetic. Must not know: accounts, orders, events.

use std::cmp::Ordering;
use std::collections::VecDeque;
use tiris_domain::money::Money;

/// Longest average, in candles.
pub(super) const CANDLES_MAX: u16 = 1_000;
/// Confidence has four decimals; the averages being one hundredth apart counts as certain.
const CONFIDENCE_STEPS: i128 = 10_000;
const CONFIDENCE_STEP_UNITS: i128 = 100_000_000;
const CERTAIN_PARTS: i128 = 100;

/// What a candle says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Advice {
    /// The fast average rose above the slow one.
    Buy,
    /// The fast average fell below the slow one.
    Sell,
    /// Nothing changed, or there are too few candles yet.
    Hold,
}

impl Advice {
    /// As signals spell it.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Buy => "buy",
            Self::Sell => "sell",
            Self::Hold => "hold",
        }
    }
}

/// An advice and how far the averages are apart, from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct View {
    pub(super) advice: Advice,
    pub(super) confidence: Money,
}

/// The two averages over the candles seen so far.
#[derive(Clone, Debug)]
pub(super) struct Crossover {
    fast: u16,
    slow: u16,
    closes: VecDeque<i128>,
    /// Whether the fast average was above the slow one when they last differed.
    above: Option<bool>,
}

impl Crossover {
    /// Averages over `fast` and `slow` candles; 0 < fast < slow <= [`CANDLES_MAX`].
    pub(super) const fn new(fast: u16, slow: u16) -> Self {
        Self {
            fast,
            slow,
            closes: VecDeque::new(),
            above: None,
        }
    }

    /// Its name in signals.
    pub(super) fn name(&self) -> String {
        format!("sma_crossover_{}_{}", self.fast, self.slow)
    }

    /// Takes the next closing price and says what follows from it.
    pub(super) fn push(&mut self, close: Money) -> View {
        self.closes.push_back(close.units());
        if self.closes.len() < usize::from(self.slow) {
            return View {
                advice: Advice::Hold,
                confidence: Money::ZERO,
            };
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
            (Some(false), Some(true)) => Advice::Buy,
            (Some(true), Some(false)) => Advice::Sell,
            _ => Advice::Hold,
        };

        self.above = above;
        View {
            advice,
            confidence: confidence(fast - slow, slow),
        }
    }
}

fn confidence(distance: i128, of: i128) -> Money {
    let steps =
        (distance.abs() * CERTAIN_PARTS * CONFIDENCE_STEPS / of.max(1)).min(CONFIDENCE_STEPS);
    Money::from_units(steps * CONFIDENCE_STEP_UNITS).unwrap_or(Money::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn advice(fast: u16, slow: u16, closes: &[i64]) -> Vec<Advice> {
        let mut crossover = Crossover::new(fast, slow);
        let money = |close: &i64| close.to_string().parse().expect("a whole number");
        closes
            .iter()
            .map(|close| crossover.push(money(close)).advice)
            .collect()
    }

    #[test]
    fn it_buys_when_the_fast_average_rises_above_the_slow_one_and_sells_when_it_falls_below() {
        use Advice::{Buy, Hold, Sell};
        // Averages of 1 and 3: the close itself against the mean of the last three.
        assert_eq!(
            advice(1, 3, &[5, 4, 3, 6, 7, 5, 5, 9]),
            [Hold, Hold, Hold, Buy, Hold, Sell, Hold, Buy]
        );
    }

    #[test]
    fn equal_averages_are_no_crossing() {
        assert!(
            advice(1, 2, &[5, 5, 6, 6, 6, 7])
                .iter()
                .all(|advice| *advice == Advice::Hold)
        );
    }

    #[test]
    fn confidence_is_the_distance_of_the_averages_and_never_above_one() {
        let mut crossover = Crossover::new(1, 2);
        let mut confidence = |close: &str| {
            crossover
                .push(close.parse().expect(close))
                .confidence
                .to_string()
        };
        assert_eq!(confidence("1"), "0");
        assert_eq!(confidence("1.004"), "0.1996");
        assert_eq!(confidence("9"), "1");
    }
}
