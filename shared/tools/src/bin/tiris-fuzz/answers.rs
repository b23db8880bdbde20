//! What Schemathesis was answered, out of its report.
//!
//! Owns: counting answers by operation and status. Must not know: why anything was asked.

use anyhow::{Context, Result};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

/// How often each operation, as method and path, was answered, and how often with success.
#[derive(Debug, Default)]
pub(crate) struct Answers(BTreeMap<String, Count>);

#[derive(Clone, Copy, Debug, Default)]
struct Count {
    all: u64,
    good: u64,
}

impl Answers {
    /// Adds a report: one JSON object a line, in which a scenario carries its requests and answers.
    pub(crate) fn add(&mut self, report: &Path) -> Result<()> {
        let file = File::open(report).with_context(|| format!("no report {}", report.display()))?;
        for line in BufReader::new(file).lines() {
            let event: Value = serde_json::from_str(&line?).context("the report is no JSON")?;
            let recorder = &event["ScenarioFinished"]["recorder"];
            for (id, interaction) in recorder["interactions"].as_object().into_iter().flatten() {
                let case = &recorder["cases"][id]["value"];
                let (Some(method), Some(path), Some(status)) = (
                    case["method"].as_str(),
                    case["path"].as_str(),
                    interaction["response"]["status_code"].as_u64(),
                ) else {
                    continue;
                };
                let count = self.0.entry(format!("{method} {path}")).or_default();
                count.all += 1;
                count.good += u64::from((200..300).contains(&status));
            }
        }

        Ok(())
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.values().map(|count| count.all).sum()
    }

    /// Those of `operations` that never succeeded, without the `excused` ones.
    pub(crate) fn without_success(&self, operations: &[String], excused: &[&str]) -> Vec<String> {
        let succeeded = |operation: &str| self.0.get(operation).is_some_and(|count| count.good > 0);
        let never = operations.iter().filter(|operation| !succeeded(operation));
        never
            .filter(|operation| !excused.contains(&operation.as_str()))
            .cloned()
            .collect()
    }
}
