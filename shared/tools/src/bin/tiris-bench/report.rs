//! The report of a run: a table, JSON, curves as SVG, a comparison with an earlier run.

use crate::figure::{Line, Samples, Target, Unit, ratio};
use crate::site::Outcome;
use crate::sizes::Sizes;
use anyhow::{Context, Result};
use comfy_table::{ContentArrangement, Table, presets};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::Path;
use tiris_tools::{Curve, table};

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) environment: BTreeMap<String, String>,
    pub(crate) sizes: Sizes,
    pub(crate) seconds: u64,
    pub(crate) lines: Vec<Line>,
    pub(crate) curves: Vec<Curve>,
    /// The errors of scenarios that failed.
    pub(crate) failures: BTreeMap<String, String>,
}

impl Report {
    pub(crate) fn read(file: &Path) -> Result<Self> {
        let text = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        serde_json::from_slice(&text)
            .with_context(|| format!("{} is not a report of tiris-bench", file.display()))
    }

    pub(crate) fn write(&self, file: &Path) -> Result<()> {
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder)
                .with_context(|| format!("cannot create {}", folder.display()))?;
        }
        fs::write(file, serde_json::to_vec_pretty(self)?)
            .with_context(|| format!("cannot write {}", file.display()))
    }

    /// Writes the curves beside the report.
    pub(crate) fn draw_curves(&self, file: &Path) -> Result<()> {
        for curve in &self.curves {
            let drawing = file.with_file_name(format!("{}.svg", curve.name));
            curve
                .draw(&drawing)
                .with_context(|| format!("cannot write {}", drawing.display()))?;
        }
        Ok(())
    }

    pub(crate) fn add(&mut self, scenario: &str, outcome: Outcome) {
        let named = outcome.lines.into_iter().map(|line| Line {
            scenario: scenario.to_owned(),
            ..line
        });
        self.lines.extend(named);
        self.curves.extend(outcome.curve);
    }

    fn table(&self) -> Table {
        let mut table = table([
            "#", "what", "measured", "limit", "ratio", "target", "met", "with",
        ]);
        for line in &self.lines {
            let met = match line.is_met() {
                None => "",
                Some(true) => "yes",
                Some(false) => "MISSED",
            };
            table.add_row([
                line.scenario.clone(),
                line.what.clone(),
                line.measured.show(line.unit),
                show(line.limit.as_ref(), line.unit),
                show(line.ratio().as_ref(), Unit::Ratio),
                target(line),
                met.to_owned(),
                line.note.clone(),
            ]);
        }
        table
    }

    /// Returns the table as Markdown.
    pub(crate) fn markdown(&self) -> String {
        let mut table = self.table();
        table
            .load_style(presets::ASCII_MARKDOWN)
            .set_content_arrangement(ContentArrangement::Disabled);
        table.to_string()
    }

    /// Returns a table of the figures of both runs.
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
            table.add_row([
                line.scenario.clone(),
                line.what.clone(),
                before.measured.show(before.unit),
                line.measured.show(line.unit),
                Unit::Ratio.show(ratio(line.measured.median(), before.measured.median())),
                show(before.ratio().as_ref(), Unit::Ratio),
                show(line.ratio().as_ref(), Unit::Ratio),
            ]);
        }

        let mut text = table.to_string();
        for (name, now) in &self.environment {
            let before = earlier.environment.get(name);
            if let Some(before) = before.filter(|before| *before != now) {
                text += &format!("\n{name}: was {before}, is {now}");
            }
        }
        if earlier.sizes != self.sizes {
            text += "\nthe sizes differ: compare only the ratios";
        }
        text
    }
}

fn show(samples: Option<&Samples>, unit: Unit) -> String {
    samples.map_or_else(String::new, |samples| samples.show(unit))
}

fn target(line: &Line) -> String {
    match line.target {
        None => String::new(),
        Some(Target::RatioAtLeast(least)) => format!(">= {}", Unit::Ratio.show(least)),
        Some(Target::RatioAtMost(most)) => format!("ratio <= {}", Unit::Ratio.show(most)),
        Some(Target::AtMost(most)) => format!("<= {}", line.unit.show(most)),
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.environment {
            writeln!(f, "{name}: {value}")?;
        }
        writeln!(f, "{:?}", self.sizes)?;
        writeln!(f, "{}", self.table())?;
        for (scenario, failure) in &self.failures {
            writeln!(f, "{scenario} FAILED: {failure}")?;
        }
        write!(
            f,
            "{} s; median (minimum to maximum); a ratio is the median of the ratios of each round",
            self.seconds
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(measured: u64) -> Report {
        let line = Line::rate("events", Samples(vec![measured]), Samples(vec![100]))
            .target(Target::RatioAtLeast(800));
        let environment = BTreeMap::from([("cores".to_owned(), measured.to_string())]);
        Report {
            lines: vec![line],
            environment,
            ..Report::default()
        }
    }

    #[test]
    fn shows_missed_targets_and_failed_scenarios() {
        let mut missed = report(79);
        missed
            .failures
            .insert("S3".to_owned(), "no events".to_owned());

        let text = missed.to_string();

        assert!(text.contains("MISSED"), "{text}");
        assert!(text.contains("0.79"), "{text}");
        assert!(text.contains("S3 FAILED: no events"), "{text}");
        assert!(!report(80).to_string().contains("MISSED"));
    }

    #[test]
    fn compares_with_the_report_of_an_earlier_run() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("deep/bench.json");
        report(50).write(&file).expect("written");

        let text = report(75).compared_with(&Report::read(&file).expect("read"));

        assert!(text.contains("1.50"), "{text}");
        assert!(text.contains("cores: was 50, is 75"), "{text}");
    }
}
