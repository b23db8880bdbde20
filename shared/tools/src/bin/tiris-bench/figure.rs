//! Figures of a measurement, in whole numbers: repetitions with their median, ratios in thousandths.
//!
//! Owns: units, medians, spread, targets. Must not know: what was measured.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A ratio of 1, in thousandths.
pub(crate) const ONE: u64 = 1_000;

/// What a figure counts.
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
    /// For a person.
    pub(crate) fn show(self, value: u64) -> String {
        match self {
            Self::PerSecond => format!("{}/s", grouped(value)),
            Self::Micros => format!("{}.{:02} ms", value / 1_000, value % 1_000 / 10),
            Self::Kibibytes => format!("{}.{} MiB", value / 1_024, value % 1_024 * 10 / 1_024),
            Self::Ratio => format!("{}.{:02}", value / ONE, value % ONE / 10),
            Self::Count => grouped(value),
        }
    }
}

/// With a comma before every three digits.
fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// One figure, measured several times.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Samples(Vec<u64>);

impl Samples {
    pub(crate) fn add(&mut self, value: u64) {
        self.0.push(value);
    }

    /// Nothing when it could not be measured.
    pub(crate) fn extend(&mut self, value: Option<u64>) {
        self.0.extend(value);
    }

    /// Zero when there is none.
    pub(crate) fn median(&self) -> u64 {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        match sorted.len() {
            0 => 0,
            length if length % 2 == 1 => sorted[length / 2],
            length => u64::midpoint(sorted[length / 2 - 1], sorted[length / 2]),
        }
    }

    pub(crate) fn least(&self) -> u64 {
        self.0.iter().copied().min().unwrap_or(0)
    }

    pub(crate) fn most(&self) -> u64 {
        self.0.iter().copied().max().unwrap_or(0)
    }

    /// Each against the one of `other` that was measured beside it, in thousandths: what the machine did to both falls out.
    pub(crate) fn over(&self, other: &Self) -> Self {
        self.0
            .iter()
            .zip(&other.0)
            .map(|(mine, other)| ratio(*mine, *other))
            .collect()
    }

    /// The median, and in brackets the least and the most.
    pub(crate) fn show(&self, unit: Unit) -> String {
        let median = unit.show(self.median());
        if self.0.len() < 2 {
            return median;
        }
        format!(
            "{median} ({} to {})",
            unit.show(self.least()),
            unit.show(self.most())
        )
    }
}

impl FromIterator<u64> for Samples {
    fn from_iter<I: IntoIterator<Item = u64>>(values: I) -> Self {
        Self(values.into_iter().collect())
    }
}

/// In thousandths; nothing over nothing is nothing.
pub(crate) fn ratio(value: u64, of: u64) -> u64 {
    (value * ONE).checked_div(of).unwrap_or(0)
}

/// So many in this time, a second.
pub(crate) fn per_second(count: u64, time: Duration) -> u64 {
    let rate = u128::from(count) * 1_000_000 / time.as_micros().max(1);
    u64::try_from(rate).unwrap_or(u64::MAX)
}

/// What a figure must hold to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Target {
    /// The median ratio, in thousandths.
    RatioAtLeast(u64),
    /// The median ratio, in thousandths.
    RatioAtMost(u64),
    /// The median, in its unit.
    AtMost(u64),
}

/// One row of the table.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Line {
    pub(crate) scenario: String,
    pub(crate) what: String,
    pub(crate) unit: Unit,
    pub(crate) measured: Samples,
    /// What the same machine can do at best, measured beside it.
    pub(crate) limit: Option<Samples>,
    pub(crate) target: Option<Target>,
    /// With what it was measured.
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

    pub(crate) fn against(mut self, limit: Samples) -> Self {
        self.limit = Some(limit);
        self
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

    /// Whether the target is met; none when there is none.
    pub(crate) fn is_met(&self) -> Option<bool> {
        let ratio = || self.ratio().map(|ratio| ratio.median());
        match self.target? {
            Target::RatioAtLeast(least) => ratio().map(|ratio| ratio >= least),
            Target::RatioAtMost(most) => ratio().map(|ratio| ratio <= most),
            Target::AtMost(most) => Some(self.measured.median() <= most),
        }
    }
}

/// Lines over something that grows.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Curve {
    /// Also its file name.
    pub(crate) name: String,
    pub(crate) title: String,
    pub(crate) across: String,
    pub(crate) upward: String,
    pub(crate) series: Vec<Series>,
}

impl Curve {
    /// Events a second over something that grows.
    pub(crate) fn of_rates(name: &str, title: &str, across: &str, series: Vec<Series>) -> Self {
        Self {
            name: name.to_owned(),
            title: title.to_owned(),
            across: across.to_owned(),
            upward: "events/s".to_owned(),
            series,
        }
    }
}

/// One line of a curve.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Series {
    pub(crate) name: String,
    pub(crate) points: Vec<(u64, u64)>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_the_median_of_what_was_measured_side_by_side() {
        let mine: Samples = [80, 40, 90].into_iter().collect();
        let limit: Samples = [100, 50, 100].into_iter().collect();
        let line = Line::new("it", Unit::PerSecond, mine).against(limit);
        assert_eq!(line.ratio().map(|ratio| ratio.median()), Some(800));
        assert_eq!(
            line.clone().target(Target::RatioAtLeast(800)).is_met(),
            Some(true)
        );
        assert_eq!(
            line.clone().target(Target::RatioAtLeast(801)).is_met(),
            Some(false)
        );
        assert_eq!(
            line.clone().target(Target::AtMost(79)).is_met(),
            Some(false)
        );

        assert_eq!(line.is_met(), None);
    }

    #[test]
    fn figures_are_written_for_people() {
        assert_eq!(Unit::PerSecond.show(1_234_567), "1,234,567/s");
        assert_eq!(Unit::Micros.show(4_057), "4.05 ms");
        assert_eq!(Unit::Kibibytes.show(1_536), "1.5 MiB");
        assert_eq!(Unit::Ratio.show(832), "0.83");
        let samples: Samples = [3, 1, 2].into_iter().collect();
        assert_eq!(samples.show(Unit::Count), "2 (1 to 3)");
        assert_eq!([1, 2].into_iter().collect::<Samples>().median(), 1);
        assert_eq!(Samples::default().show(Unit::Count), "0");
    }
}
