//! Figures in whole numbers: repeated measurements with their median, ratios in thousandths, targets, curves.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The ratio 1, in thousandths.
pub(crate) const THOUSAND: u64 = 1_000;

/// The unit of a figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Unit {
    PerSecond,
    Micros,
    Kibibytes,
    /// Thousandths.
    Ratio,
    Count,
}

impl Unit {
    /// Formats a value for the table.
    pub(crate) fn show(self, value: u64) -> String {
        match self {
            Self::PerSecond => format!("{}/s", grouped(value)),
            Self::Micros => format!("{}.{:02} ms", value / 1_000, value % 1_000 / 10),
            Self::Kibibytes => format!("{}.{} MiB", value / 1_024, value % 1_024 * 10 / 1_024),
            Self::Ratio => format!("{}.{:02}", value / THOUSAND, value % THOUSAND / 10),
            Self::Count => grouped(value),
        }
    }
}

/// Formats a value with a comma before every three digits.
fn grouped(value: u64) -> String {
    match value {
        0..1_000 => value.to_string(),
        _ => format!("{},{:03}", grouped(value / 1_000), value % 1_000),
    }
}

/// A figure, measured several times.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Samples(pub(crate) Vec<u64>);

impl Samples {
    pub(crate) fn add(&mut self, value: u64) {
        self.0.push(value);
    }

    fn sorted(&self) -> Vec<u64> {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        sorted
    }

    /// Returns the median, 0 without samples.
    pub(crate) fn median(&self) -> u64 {
        let sorted = self.sorted();
        match sorted.len() {
            0 => 0,
            length if length % 2 == 1 => sorted[length / 2],
            length => u64::midpoint(sorted[length / 2 - 1], sorted[length / 2]),
        }
    }

    /// Returns the ratio of each sample to that of `other` from the same round, in thousandths: noise of the machine
    /// that affects both cancels out.
    pub(crate) fn over(&self, other: &Self) -> Self {
        let pairs = self.0.iter().zip(&other.0);
        Self(pairs.map(|(mine, other)| ratio(*mine, *other)).collect())
    }

    /// Formats the median, followed by the minimum and the maximum in brackets.
    pub(crate) fn show(&self, unit: Unit) -> String {
        let median = unit.show(self.median());
        match self.sorted()[..] {
            [least, .., most] => format!("{median} ({} to {})", unit.show(least), unit.show(most)),
            _ => median,
        }
    }
}

/// Returns `value / of` in thousandths, 0 when `of` is 0.
pub(crate) fn ratio(value: u64, of: u64) -> u64 {
    (value * THOUSAND).checked_div(of).unwrap_or(0)
}

/// Returns the rate of `count` in `time`, per second.
pub(crate) fn per_second(count: u64, time: Duration) -> u64 {
    let rate = u128::from(count) * 1_000_000 / time.as_micros().max(1);
    u64::try_from(rate).unwrap_or(u64::MAX)
}

/// A bound for a median.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Target {
    /// The minimum ratio, in thousandths.
    RatioAtLeast(u64),
    /// The maximum ratio, in thousandths.
    RatioAtMost(u64),
    /// The maximum figure, in its unit.
    AtMost(u64),
}

/// A row of the table.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Line {
    pub(crate) scenario: String,
    pub(crate) what: String,
    pub(crate) unit: Unit,
    pub(crate) measured: Samples,
    /// The best the same machine can do, measured in the same rounds.
    pub(crate) limit: Option<Samples>,
    pub(crate) target: Option<Target>,
    pub(crate) note: String,
}

impl Line {
    pub(crate) fn new(what: impl Into<String>, unit: Unit, measured: Samples) -> Self {
        Self {
            scenario: String::new(),
            what: what.into(),
            unit,
            measured,
            limit: None,
            target: None,
            note: String::new(),
        }
    }

    /// Returns a rate beside its limit.
    pub(crate) fn rate(what: impl Into<String>, measured: Samples, limit: Samples) -> Self {
        Self {
            limit: Some(limit),
            ..Self::new(what, Unit::PerSecond, measured)
        }
    }

    pub(crate) fn target(mut self, target: Target) -> Self {
        self.target = Some(target);
        self
    }

    pub(crate) fn note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }

    pub(crate) fn ratio(&self) -> Option<Samples> {
        self.limit.as_ref().map(|limit| self.measured.over(limit))
    }

    /// Returns whether the target is met; none without a target.
    pub(crate) fn is_met(&self) -> Option<bool> {
        let ratio = self.ratio().map(|ratio| ratio.median());
        match self.target? {
            Target::RatioAtLeast(least) => ratio.map(|ratio| ratio >= least),
            Target::RatioAtMost(most) => ratio.map(|ratio| ratio <= most),
            Target::AtMost(most) => Some(self.measured.median() <= most),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_the_median_of_the_ratios_of_each_round() {
        let measured = Samples(vec![80, 40, 90]);
        let limit = Samples(vec![100, 50, 100]);

        let line = Line::rate("it", measured, limit);

        assert_eq!(line.ratio().map(|ratio| ratio.median()), Some(800));
    }

    #[test]
    fn a_target_is_met_or_missed() {
        let line = Line::rate("it", Samples(vec![80]), Samples(vec![100]));
        let is_met = |target| line.clone().target(target).is_met();

        assert_eq!(is_met(Target::RatioAtLeast(800)), Some(true));
        assert_eq!(is_met(Target::RatioAtLeast(801)), Some(false));
        assert_eq!(is_met(Target::AtMost(79)), Some(false));
        assert_eq!(line.is_met(), None);
    }

    #[test]
    fn units_are_formatted() {
        assert_eq!(Unit::PerSecond.show(1_234_567), "1,234,567/s");
        assert_eq!(Unit::Micros.show(4_057), "4.05 ms");
        assert_eq!(Unit::Kibibytes.show(1_536), "1.5 MiB");
        assert_eq!(Unit::Ratio.show(832), "0.83");
    }

    #[test]
    fn samples_show_their_median_and_spread() {
        assert_eq!(Samples(vec![3, 1, 2]).show(Unit::Count), "2 (1 to 3)");
        assert_eq!(Samples(vec![1, 2]).median(), 1);
        assert_eq!(Samples(vec![7]).show(Unit::Count), "7");
        assert_eq!(Samples::default().show(Unit::Count), "0");
    }
}
