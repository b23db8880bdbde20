//! A rollout under load: the schema changes under running processes, and new ones join them. No request fails and no event
//! is late.
//!
//! With the programs of an earlier release it begins on their schema, applies the newer migrations while they run, and takes
//! everything back in the end. Without, only this build runs, which does not survive a reverted migration.

mod release;
mod schema;
mod this_build;

use super::requests::{Expect, Requests};
use crate::checks::RestAccount;
use crate::checks::probe::in_each_lane;
use crate::finish::end;
use crate::publishing::Publishing;
use crate::report::Outcome;
use crate::run::{Load, Options, Run};
use crate::system::Setup;
use anyhow::{Result, ensure};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Lasts until the end of all steps.
const LOAD: Load = Load {
    name: "rollout",
    events: 5_000,
    duration: Duration::from_secs(40),
    has_unreadable: false,
};
/// Between two steps, so that every statement runs on the changed schema.
const PAUSE: Duration = Duration::from_secs(2);
/// From the publication of an event to its commit, also while lanes change hands and a migration waits for tables. Debug
/// builds of both releases on a busy machine are behind without that.
const COMMIT_LIMIT: Duration = Duration::from_secs(if cfg!(debug_assertions) { 30 } else { 5 });
/// Log lines of a worker whose batch failed.
const FAILURES: [&str; 3] = ["lane waits", "batch failed", "event failed"];

pub(crate) async fn run(options: &Options) -> Result<Outcome> {
    let setup = Setup {
        earlier: options.earlier.as_ref(),
        ..Setup::new(options)
    };
    let (run, publishing) = Publishing::begin_on(setup, LOAD, options).await?;
    let done = roll_out(&run).await;
    end(run, publishing, done).await
}

async fn roll_out(run: &Arc<Run>) -> Result<Vec<RestAccount>> {
    let stop = CancellationToken::new();
    let mut probes = in_each_lane(run, &run.users, &stop)?;
    let requests = Requests::begin(run, Expect::Success).await?;
    let rolled = match run.options.earlier {
        Some(_) => release::roll_out(run, &requests).await,
        None => this_build::roll_out(run).await,
    };

    let accounts = requests.end(run).await?;
    stop.cancel();
    let mut slowest = Duration::ZERO;
    while let Some(ended) = probes.join_next().await {
        let (_, times) = ended??;
        slowest = slowest.max(times.into_iter().max().unwrap_or_default());
    }
    rolled?;
    run.faults
        .add_millis("slowest from publish to commit", slowest)?;
    if slowest > COMMIT_LIMIT {
        run.wrong(&format!("an event was committed after {slowest:?}"));
    }
    for entry in std::fs::read_dir(run.system.folder())? {
        check_log(&entry?.path())?;
    }

    if run.options.earlier.is_none() {
        this_build::revert_and_apply(run).await?;
    }
    Ok(accounts)
}

/// Waits, so that the last change meets every statement.
async fn pause(run: &Run) -> Result<()> {
    tokio::time::sleep(PAUSE).await;
    run.progress();
    run.options.check_stop()
}

/// Fails when a batch failed, if this is the log of a worker.
fn check_log(file: &Path) -> Result<()> {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    if !name.starts_with("ingest-") {
        return Ok(());
    }

    let log = std::fs::read(file)?;
    let log = String::from_utf8_lossy(&log);
    let is_failure = |line: &&str| FAILURES.iter().any(|text| line.contains(text));
    let failed = log.lines().find(is_failure);
    ensure!(failed.is_none(), "{name}: {}", failed.unwrap_or_default());
    Ok(())
}
