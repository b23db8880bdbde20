//! The report of a run: tables and JSON.

use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;
use tiris_tools::table;

/// The maximum number of printed findings of a check.
const SHOWN_MAX: usize = 20;

/// The result of a check, without findings when it passed.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Check {
    pub(crate) what: &'static str,
    /// The extent of the comparison.
    pub(crate) extent: String,
    pub(crate) findings: Vec<String>,
}

/// The result of a scenario.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Outcome {
    pub(crate) scenario: &'static str,
    pub(crate) load_seconds: u64,
    pub(crate) settled_seconds: u64,
    pub(crate) stored: u64,
    pub(crate) events_per_second: u64,
    pub(crate) published: BTreeMap<String, u64>,
    pub(crate) faults: BTreeMap<String, u64>,
    pub(crate) seen: BTreeMap<String, u64>,
    pub(crate) checks: Vec<Check>,
}

impl Outcome {
    pub(crate) fn passed(&self) -> bool {
        self.checks.iter().all(|check| check.findings.is_empty())
    }
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    /// A string, because many JSON readers do not hold 64-bit integers.
    seed: String,
    pub(crate) passed: bool,
    scenarios: Vec<Outcome>,
}

impl Report {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            seed: seed.to_string(),
            passed: true,
            scenarios: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, outcome: Outcome) {
        self.passed &= outcome.passed();
        self.scenarios.push(outcome);
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for outcome in &self.scenarios {
            write_outcome(f, outcome)?;
            write_checks(f, &outcome.checks)?;
        }
        let result = if self.passed {
            "all checks passed"
        } else {
            "FAILED"
        };
        write!(f, "seed {}: {result}", self.seed)
    }
}

fn write_outcome(f: &mut fmt::Formatter<'_>, outcome: &Outcome) -> fmt::Result {
    writeln!(
        f,
        "\nscenario {}: {} messages in the streams, load for {} s, settled after {} s, {} messages/s",
        outcome.scenario,
        outcome.stored,
        outcome.load_seconds,
        outcome.settled_seconds,
        outcome.events_per_second
    )?;

    for (title, counts) in [
        ("published", &outcome.published),
        ("injected", &outcome.faults),
        ("seen", &outcome.seen),
    ] {
        let mut table = table([title, "count"]);
        for (name, count) in counts {
            table.add_row([name.clone(), count.to_string()]);
        }
        writeln!(f, "{table}")?;
    }
    Ok(())
}

fn write_checks(f: &mut fmt::Formatter<'_>, checks: &[Check]) -> fmt::Result {
    let mut table = table(["checked", "on", "result"]);
    for check in checks {
        let result = match check.findings.len() {
            0 => "ok".to_owned(),
            count => format!("{count} WRONG"),
        };
        table.add_row([check.what.to_owned(), check.extent.clone(), result]);
    }
    writeln!(f, "{table}")?;

    for check in checks {
        for finding in check.findings.iter().take(SHOWN_MAX) {
            writeln!(f, "WRONG {}: {finding}", check.what)?;
        }
        let more = check.findings.len().saturating_sub(SHOWN_MAX);
        if more > 0 {
            writeln!(f, "WRONG {}: and {more} more", check.what)?;
        }
    }
    Ok(())
}
