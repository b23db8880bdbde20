//! What a run came to: a table for people, JSON for programs, a comparison with an earlier run.
//!
//! Owns: their form. Must not know: how anything in it was measured.

use crate::bench::Outcome;
use crate::figure::{Curve, Line, Target, Unit, ratio};
use anyhow::{Context, Result};
use comfy_table::{ContentArrangement, Table, presets};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::Path;
use tiris_tools::table;

/// The whole run.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) environment: BTreeMap<String, String>,
    pub(crate) sizes: BTreeMap<String, u64>,
    pub(crate) seconds: u64,
    pub(crate) lines: Vec<Line>,
    pub(crate) curves: Vec<Curve>,
    /// Scenarios that came to no end, or to a wrong one, and why.
    pub(crate) failures: BTreeMap<String, String>,
}

impl Report {
    pub(crate) fn read(file: &Path) -> Result<Self> {
        let text = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        serde_json::from_slice(&text).with_context(|| format!("{} is no report", file.display()))
    }

    pub(crate) fn write(&self, file: &Path) -> Result<()> {
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder)
                .with_context(|| format!("cannot make {}", folder.display()))?;
        }
        fs::write(file, serde_json::to_vec_pretty(self)?)
            .with_context(|| format!("cannot write {}", file.display()))
    }

    fn table(&self) -> Table {
        let mut table = table([
            "#",
            "what",
            "measured",
            "limit beside it",
            "ratio",
            "target",
            "met",
            "with",
        ]);
        for line in &self.lines {
            table.add_row(row(line));
        }

        table
    }

    /// The table as Markdown.
    pub(crate) fn markdown(&self) -> String {
        let mut table = self.table();
        table
            .load_style(presets::ASCII_MARKDOWN)
            .set_content_arrangement(ContentArrangement::Disabled);
        table.to_string()
    }

    /// What a scenario measured.
    pub(crate) fn add(&mut self, scenario: &str, outcome: Outcome) {
        let named = outcome.lines.into_iter().map(|line| Line {
            scenario: scenario.to_owned(),
            ..line
        });
        self.lines.extend(named);
        self.curves.extend(outcome.curves);
    }

    /// The same figures of an earlier run beside these.
    pub(crate) fn compared_with(&self, earlier: &Self) -> String {
        let mut table = table([
            "#",
            "what",
            "before",
            "now",
            "now / before",
            "ratio before",
            "ratio now",
        ]);
        for line in &self.lines {
            let same = |other: &&Line| other.scenario == line.scenario && other.what == line.what;
            let Some(before) = earlier.lines.iter().find(same) else {
                continue;
            };
            let shown = |line: &Line| {
                line.ratio()
                    .map_or_else(String::new, |ratio| Unit::Ratio.show(ratio.median()))
            };
            table.add_row([
                line.scenario.clone(),
                line.what.clone(),
                before.measured.show(before.unit),
                line.measured.show(line.unit),
                Unit::Ratio.show(ratio(line.measured.median(), before.measured.median())),
                shown(before),
                shown(line),
            ]);
        }

        let differing = differing(&earlier.environment, &self.environment);
        let sizes = if earlier.sizes == self.sizes {
            ""
        } else {
            "\nthe sizes differ: compare ratios alone"
        };

        format!("{table}{differing}{sizes}")
    }
}

fn differing(before: &BTreeMap<String, String>, now: &BTreeMap<String, String>) -> String {
    let mut text = String::new();
    for (name, value) in now {
        if let Some(other) = before.get(name).filter(|other| *other != value) {
            text.push_str(&format!("\n{name}: was {other}, is {value}"));
        }
    }
    text
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.environment {
            writeln!(f, "{name}: {value}")?;
        }
        let sizes: Vec<String> = self
            .sizes
            .iter()
            .map(|(name, size)| format!("{name}={size}"))
            .collect();
        writeln!(f, "sizes: {}", sizes.join(" "))?;
        writeln!(f, "{}", self.table())?;

        for (scenario, why) in &self.failures {
            writeln!(f, "{scenario} FAILED: {why}")?;
        }

        write!(
            f,
            "{} s; median (least to most); a ratio is the median of pairs measured in turn",
            self.seconds
        )
    }
}

fn row(line: &Line) -> [String; 8] {
    let target = match line.target {
        None => String::new(),
        Some(Target::RatioAtLeast(least)) => format!(">= {}", Unit::Ratio.show(least)),
        Some(Target::RatioAtMost(most)) => format!("ratio <= {}", Unit::Ratio.show(most)),
        Some(Target::AtMost(most)) => format!("<= {}", line.unit.show(most)),
    };

    let met = match line.is_met() {
        None => "",
        Some(true) => "yes",
        Some(false) => "MISSED",
    };

    [
        line.scenario.clone(),
        line.what.clone(),
        line.measured.show(line.unit),
        line.limit
            .as_ref()
            .map_or_else(String::new, |limit| limit.show(line.unit)),
        line.ratio()
            .map_or_else(String::new, |ratio| ratio.show(Unit::Ratio)),
        target,
        met.to_owned(),
        line.note.clone(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figure::Samples;

    fn report(measured: u64) -> Report {
        let limit: Samples = [100].into_iter().collect();
        let line = Line::new("events", Unit::PerSecond, [measured].into_iter().collect())
            .against(limit)
            .target(Target::RatioAtLeast(800));
        let environment = BTreeMap::from([("cores".to_owned(), measured.to_string())]);
        Report {
            lines: vec![line],
            environment,
            ..Report::default()
        }
    }

    #[test]
    fn a_missed_target_and_a_failed_scenario_stand_in_the_table() {
        let mut missed = report(79);
        missed
            .failures
            .insert("S3".to_owned(), "no events".to_owned());
        let text = missed.to_string();
        assert!(text.contains("MISSED") && text.contains("0.79"), "{text}");
        assert!(text.contains("S3 FAILED: no events"), "{text}");
        assert!(!report(80).to_string().contains("MISSED"));
    }

    #[test]
    fn an_earlier_run_read_from_its_file_is_set_beside_this_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("deep/bench.json");
        report(50).write(&file).expect("written");
        let text = report(75).compared_with(&Report::read(&file).expect("read"));
        assert!(
            text.contains("1.50") && text.contains("cores: was 50, is 75"),
            "{text}"
        );
    }
}
