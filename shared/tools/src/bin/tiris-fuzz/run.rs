//! One run of Schemathesis.
//!
//! Owns: how it is called, where its report lies. Must not know: what the operations mean.

use crate::answers::Answers;
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::PathBuf;
use std::time::Duration;
use tokio::process::Command;

/// Which checks are made, and what they take for right.
const SETTINGS: &str = include_str!("schemathesis.toml");
/// Beyond the time it is told: the case it is at, and its report.
const GRACE: Duration = Duration::from_secs(60);

/// The installed program, and what all runs have in common.
#[derive(Debug)]
pub(crate) struct Schemathesis {
    pub(crate) program: PathBuf,
    pub(crate) folder: PathBuf,
    /// Address of the API.
    pub(crate) url: String,
    pub(crate) seed: u32,
}

/// A run that is being prepared.
#[derive(Debug)]
pub(crate) struct Run {
    command: Command,
    report: PathBuf,
    name: String,
    limit: Duration,
}

impl Schemathesis {
    /// Prepares to ask all operations with `token` for `limit`.
    pub(crate) fn run(&self, name: &str, token: &str, limit: Duration) -> Result<Run> {
        let settings = self.folder.join("schemathesis.toml");
        fs::write(&settings, SETTINGS)?;

        let report = self.folder.join(format!("{name}.ndjson"));
        let mut command = Command::new(&self.program);
        command.arg("--config-file").arg(settings);
        command
            .args(["run", "--no-color", "--report=ndjson"])
            .arg(format!("--seed={}", self.seed))
            .arg(format!("--max-time={}", limit.as_secs()))
            .arg("--report-ndjson-path")
            .arg(&report)
            .arg(format!("{}/openapi.json", self.url))
            .env("FUZZ_TOKEN", token)
            .current_dir(&self.folder)
            .kill_on_drop(true);
        Ok(Run {
            command,
            report,
            name: name.to_owned(),
            limit,
        })
    }
}

impl Run {
    /// Leaves these operations out.
    pub(crate) fn without(mut self, operations: &[&str]) -> Self {
        self.command.args(
            operations
                .iter()
                .flat_map(|operation| ["--exclude-operation-id", operation]),
        );
        self
    }

    /// Asks this operation alone.
    pub(crate) fn only(mut self, operation: &str) -> Self {
        self.command.args(["--include-operation-id", operation]);
        self
    }

    /// Runs it with its output shown; whether it found nothing wrong.
    pub(crate) async fn execute(mut self, answers: &mut Answers) -> Result<bool> {
        println!("\n-- {} --", self.name);
        let running = tokio::time::timeout(self.limit + GRACE, self.command.status());
        let status = running
            .await
            .with_context(|| format!("the run {} does not end", self.name))??;
        // 1 is a failed check; anything else says that it could not work.
        ensure!(
            matches!(status.code(), Some(0 | 1)),
            "the run {} could not be made: {status}",
            self.name
        );
        answers.add(&self.report)?;
        Ok(status.success())
    }
}
