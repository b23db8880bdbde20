//! The commands of `tiris-ingest`, as an operator runs them.

use crate::world::World;
use anyhow::{Result, ensure};
use std::process::Stdio;
use tiris_testing::{Role, binary};
use tokio::process::Command;

/// The output and exit code of a command.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Output {
    /// Fails unless the command succeeded and printed all of `words`.
    pub(crate) fn succeeds(&self, words: &[&str]) -> Result<()> {
        ensure!(self.code == Some(0), "{self:?}");
        self.says(words)
    }

    /// Fails unless the command failed and printed all of `words`.
    pub(crate) fn fails(&self, words: &[&str]) -> Result<()> {
        ensure!(self.code != Some(0), "{self:?}");
        self.says(words)
    }

    fn says(&self, words: &[&str]) -> Result<()> {
        for word in words {
            let found = self.stdout.contains(word) || self.stderr.contains(word);
            ensure!(found, "{word} is missing in {self:?}");
        }
        Ok(())
    }
}

impl World {
    /// Runs `tiris-ingest` with database and broker, and without a terminal.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Result<Output> {
        output(self.command(arguments)?).await
    }

    /// Runs `tiris-ingest lanes`.
    pub(crate) async fn run_lanes(&self, arguments: &[&str]) -> Result<Output> {
        let mut command = self.command(&["lanes"])?;
        command.args(arguments);
        output(command).await
    }

    fn command(&self, arguments: &[&str]) -> Result<Command> {
        let mut command = Command::new(binary("tiris-ingest")?);
        command
            .args(arguments)
            .env("DATABASE_URL", self.database.url_as(Role::Ingest)?)
            .env("NATS_URL", self.nats.url());
        Ok(command)
    }
}

pub(crate) async fn output(mut command: Command) -> Result<Output> {
    let output = command.stdin(Stdio::null()).output().await?;
    Ok(Output {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout)?,
        stderr: String::from_utf8(output.stderr)?,
    })
}
