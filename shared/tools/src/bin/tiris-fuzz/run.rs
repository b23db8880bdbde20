//! One run of Schemathesis.
//!
//! Owns: how it is called, where its report lies. Must not know: what the operations mean.

use crate::answers::Answers;
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::process::Command;

/// Which checks are made, and what they take for right.
const SETTINGS: &str = include_str!("schemathesis.toml");
/// Beyond the time it is told: the case it is at, and its report.
const GRACE: Duration = Duration::from_secs(60);

/// A run that is being prepared.
#[derive(Debug)]
pub(crate) struct Run {
    command: Command,
    report: PathBuf,
    name: String,
    limit: Duration,
}

impl Run {
    /// All operations of the API at `url`, asked with `token` for `limit`.
    pub(crate) fn new(
        program: &Path,
        folder: &Path,
        name: &str,
        url: &str,
        token: &str,
        limit: Duration,
        seed: u32,
    ) -> Result<Self> {
        let settings = folder.join("schemathesis.toml");
        fs::write(&settings, SETTINGS)?;
        let report = folder.join(format!("{name}.ndjson"));
        let mut command = Command::new(program);
        command.arg("--config-file").arg(settings).args([
            "run",
            "--no-color",
            "--seed",
            &seed.to_string(),
        ]);
        command.args([
            "--max-time",
            &limit.as_secs().to_string(),
            "--report",
            "ndjson",
        ]);
        command
            .arg("--report-ndjson-path")
            .arg(&report)
            .arg(format!("{url}/openapi.json"));
        command
            .env("FUZZ_TOKEN", token)
            .current_dir(folder)
            .kill_on_drop(true);
        Ok(Self {
            command,
            report,
            name: name.to_owned(),
            limit,
        })
    }

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
