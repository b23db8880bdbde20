//! Samples of memory and open files, and whether they stay flat.

use crate::report::Check;
use std::collections::BTreeMap;
use tiris_tools::{Curve, Series, memory_kib, open_files};

/// The share of the samples, from the end, that must be flat, as a fraction. Before that a process warms up.
const FLAT_PART: (usize, usize) = (2, 3);
/// Growth that is noise, in hundredths of the mean.
const NOISE_HUNDREDTHS: i128 = 5;

/// A quantity of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// Resident memory, in KiB.
    Memory,
    /// Open files and sockets.
    Files,
}

impl Kind {
    pub(super) const ALL: [Self; 2] = [Self::Memory, Self::Files];

    /// Growth that is noise whatever the mean.
    const fn noise(self) -> i128 {
        match self {
            Self::Memory => 4 * 1_024,
            Self::Files => 3,
        }
    }
}

/// The samples of all processes: seconds and values.
#[derive(Debug, Default)]
pub(super) struct Usage(BTreeMap<(Kind, String), Vec<(u64, u64)>>);

impl Usage {
    /// Samples a process at this second.
    pub(super) fn sample(&mut self, name: String, pid: u32, at: u64) {
        let memory = memory_kib(pid, "VmRSS");
        let files = open_files(pid);
        for (kind, value) in [(Kind::Memory, memory), (Kind::Files, files)] {
            let points = self.0.entry((kind, name.clone())).or_default();
            points.extend(value.map(|value| (at, value)));
        }
    }

    fn of(&self, kind: Kind) -> impl Iterator<Item = (&str, &[(u64, u64)])> {
        let all = self.0.iter().filter(move |((of, _), _)| *of == kind);
        all.map(|((_, name), points)| (name.as_str(), points.as_slice()))
    }

    /// Checks that a quantity of every process is flat.
    pub(super) fn check(&self, kind: Kind) -> Check {
        let findings = self.of(kind).filter_map(|(name, points)| {
            let flat = last_part(points);
            if flat.len() < 2 {
                return Some(format!("{name} could not be sampled"));
            }
            let growth = growth(flat);
            let allowed = kind.noise().max(mean(flat) * NOISE_HUNDREDTHS / 100);
            (growth > allowed).then(|| {
                format!("{name} grew by {growth} in the last two thirds; {allowed} is noise")
            })
        });
        Check {
            what: match kind {
                Kind::Memory => "memory is flat (KiB)",
                Kind::Files => "open files are flat",
            },
            extent: format!("{} processes", self.of(kind).count()),
            findings: findings.collect(),
        }
    }

    /// Returns the drawing of a quantity.
    pub(super) fn curve(&self, kind: Kind) -> Curve {
        let series = self.of(kind).map(|(name, points)| Series {
            name: name.to_owned(),
            points: points.to_vec(),
        });
        let (name, title, up) = match kind {
            Kind::Memory => ("memory", "Resident memory under an even load", "KiB"),
            Kind::Files => ("files", "Open files under an even load", "files"),
        };
        Curve {
            name: name.to_owned(),
            title: title.to_owned(),
            across: "seconds".to_owned(),
            up: up.to_owned(),
            series: series.collect(),
        }
    }

    /// Returns the largest samples of every process.
    pub(super) fn largest(&self) -> BTreeMap<String, u64> {
        let largest = self.0.iter().filter_map(|((kind, name), points)| {
            let largest = points.iter().map(|point| point.1).max()?;
            let of = match kind {
                Kind::Memory => "memory, KiB",
                Kind::Files => "open files",
            };
            Some((format!("most {of}, {name}"), largest))
        });
        largest.collect()
    }
}

fn last_part(points: &[(u64, u64)]) -> &[(u64, u64)] {
    let (part, whole) = FLAT_PART;
    &points[points.len() - points.len() * part / whole..]
}

fn mean(points: &[(u64, u64)]) -> i128 {
    let sum: i128 = points.iter().map(|point| i128::from(point.1)).sum();
    sum / i128::try_from(points.len()).unwrap_or(i128::MAX).max(1)
}

/// Returns how much the least-squares line through the points rises from the first to the last one.
fn growth(points: &[(u64, u64)]) -> i128 {
    let pairs = || points.iter().map(|(x, y)| (i128::from(*x), i128::from(*y)));
    let count = i128::try_from(points.len()).unwrap_or(i128::MAX);
    let sum_x: i128 = pairs().map(|(x, _)| x).sum();
    let sum_y: i128 = pairs().map(|(_, y)| y).sum();
    let sum_xy: i128 = pairs().map(|(x, y)| x * y).sum();
    let sum_xx: i128 = pairs().map(|(x, _)| x * x).sum();

    let spread = count * sum_xx - sum_x * sum_x;
    let first = pairs().next().map_or(0, |(x, _)| x);
    let last = pairs().next_back().map_or(0, |(x, _)| x);
    let rise = (count * sum_xy - sum_x * sum_y) * (last - first);
    rise.checked_div(spread).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(values: impl Iterator<Item = u64>) -> Usage {
        let points = values.zip(0..).map(|(value, at)| (at * 5, value));
        Usage(BTreeMap::from([(
            (Kind::Memory, "api".to_owned()),
            points.collect(),
        )]))
    }

    #[test]
    fn noise_after_the_warm_up_is_flat() {
        let warm_up = (0..100).map(|n| n * 1_000);
        let noise = (0..200).map(|n| 100_000 + n * 7_919 % 3_000);

        let check = usage(warm_up.chain(noise)).check(Kind::Memory);

        assert_eq!(check.findings, [""; 0]);
    }

    #[test]
    fn a_slow_leak_is_found() {
        let leak = (0..300).map(|n| 100_000 + n * 50 + n * 7_919 % 3_000);

        let check = usage(leak).check(Kind::Memory);

        assert_eq!(check.findings.len(), 1, "{:?}", check.findings);
    }

    #[test]
    fn a_line_grows_by_its_rise() {
        let line: Vec<(u64, u64)> = (0..10).map(|n| (n * 5, 100 + n * 3)).collect();

        assert_eq!(growth(&line), 27);
        assert_eq!(growth(&line[..1]), 0);
    }
}
