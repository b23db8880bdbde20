//! Runs of Schemathesis and the responses in their reports.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::process::Command;

/// The checks and the values they expect.
const SETTINGS: &str = include_str!("schemathesis.toml");
/// Time beyond the limit, for the current case and the report.
const GRACE: Duration = Duration::from_secs(60);

/// The installed program, and the settings of all runs.
#[derive(Debug)]
pub(crate) struct Schemathesis {
    pub(crate) program: PathBuf,
    pub(crate) folder: PathBuf,
    /// Address of the API.
    pub(crate) url: String,
    pub(crate) seed: u32,
}

impl Schemathesis {
    /// Sends requests with `token` for `limit`, with the output shown, and adds the responses; returns whether all checks
    /// passed. `selection` are arguments that select operations.
    pub(crate) async fn run(
        &self,
        name: &str,
        token: &str,
        limit: Duration,
        selection: &[String],
        responses: &mut Responses,
    ) -> Result<bool> {
        println!("\n-- {name} --");
        let settings = self.folder.join("schemathesis.toml");
        fs::write(&settings, SETTINGS)?;
        let report = self.folder.join(format!("{name}.ndjson"));

        let status = Command::new(&self.program)
            .arg("--config-file")
            .arg(settings)
            .args(["run", "--no-color", "--report=ndjson"])
            .arg(format!("--seed={}", self.seed))
            .arg(format!("--max-time={}", limit.as_secs()))
            .arg("--report-ndjson-path")
            .arg(&report)
            .arg(format!("{}/openapi.json", self.url))
            .args(selection)
            .env("FUZZ_TOKEN", token)
            .current_dir(&self.folder)
            .kill_on_drop(true)
            .status();
        let status = tokio::time::timeout(limit + GRACE, status)
            .await
            .with_context(|| format!("the run {name} does not end"))??;

        // 1 is a failed check, any other code a failure to run.
        ensure!(
            matches!(status.code(), Some(0 | 1)),
            "the run {name} failed: {status}"
        );
        responses.add(&report)?;
        Ok(status.success())
    }
}

/// The responses of all runs.
#[derive(Debug, Default)]
pub(crate) struct Responses {
    pub(crate) count: u64,
    /// Operations, as method and path, that succeeded at least once.
    succeeded: BTreeSet<String>,
}

impl Responses {
    /// Adds a report: one JSON object per line, in which a scenario has its requests and responses.
    fn add(&mut self, report: &Path) -> Result<()> {
        let file = File::open(report).with_context(|| format!("no report {}", report.display()))?;
        for line in BufReader::new(file).lines() {
            let event: Value = serde_json::from_str(&line?).context("the report is not JSON")?;
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

                self.count += 1;
                if (200..300).contains(&status) {
                    self.succeeded.insert(format!("{method} {path}"));
                }
            }
        }
        Ok(())
    }

    /// Returns those of `operations` that never succeeded, without the `excused` ones.
    pub(crate) fn without_success(&self, operations: Vec<String>, excused: &[&str]) -> Vec<String> {
        let is_missing = |operation: &String| {
            !self.succeeded.contains(operation) && !excused.contains(&operation.as_str())
        };
        operations.into_iter().filter(is_missing).collect()
    }
}
