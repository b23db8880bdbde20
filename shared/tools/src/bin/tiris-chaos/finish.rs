//! The end of a scenario: the rest of the load, recovery, the checks.

use crate::checks::{self, RestAccount};
use crate::keep;
use crate::publishing::Publishing;
use crate::report::{Check, Outcome};
use crate::run::Run;
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Ends a scenario whose own part returned `done`: waits for the end of the load and for recovery, then runs the checks.
/// A failure becomes a finding, so that the run has a report.
///
/// # Errors
/// After a signal to stop.
pub(crate) async fn end(
    run: Arc<Run>,
    load: Publishing,
    done: Result<Vec<RestAccount>>,
) -> Result<Outcome> {
    run.options.check_stop()?;
    let finished = match done {
        Ok(accounts) => finish(&run, load, &accounts).await,
        Err(error) => Err(error),
    };
    run.options.check_stop()?;

    let outcome = finished.unwrap_or_else(|error| Outcome {
        checks: vec![Check {
            what: "the run comes to its end",
            extent: "everything".to_owned(),
            findings: vec![format!("{error:#}")],
        }],
        ..outcome(&run)
    });
    if !outcome.passed() {
        let folder = run.options.keep.join(run.load.name);
        let place = folder.display();
        let line = match keep::everything(&run.system, &folder).await {
            Ok(()) => format!("kept for diagnosis: {place}"),
            Err(error) => format!("not everything could be kept in {place}: {error:#}"),
        };
        run.options.view.say(&line);
    }
    Ok(outcome)
}

/// Returns the outcome of a run that has come this far, without checks.
fn outcome(run: &Run) -> Outcome {
    let seconds = run.begun.elapsed().as_secs();
    Outcome {
        scenario: run.load.name,
        load_seconds: seconds,
        settled_seconds: seconds,
        stored: run.published.get("messages"),
        events_per_second: 0,
        published: run.published.all(),
        faults: run.faults.all(),
        seen: BTreeMap::new(),
        checks: Vec::new(),
    }
}

async fn finish(run: &Run, load: Publishing, accounts: &[RestAccount]) -> Result<Outcome> {
    run.phase("the rest of the load");
    let late = load.end(run).await?;
    run.options.check_stop()?;
    let load_seconds = run.begun.elapsed().as_secs();

    run.phase("recovering");
    run.system
        .wait_until_ready()
        .await
        .context("the system does not recover")?;
    let messages = checks::stream::read_all(&run.system.nats_url, run.load.has_unreadable).await?;
    checks::settle::wait(&run.system, &messages, &run.options).await?;
    let settled = run.begun.elapsed();

    run.phase("comparing");
    let checks = checks::all(run, &messages, accounts).await?;
    let stored = u64::try_from(messages.len())?;
    let mut seen = checks::seen::from_logs(&run.system).await?;
    seen.insert("resources created late".to_owned(), u64::try_from(late)?);
    seen.insert(
        "stored twice because an acknowledgement was lost".to_owned(),
        stored.saturating_sub(run.published.get("messages")),
    );
    let millis = u64::try_from(settled.as_millis())?.max(1);
    Ok(Outcome {
        load_seconds,
        settled_seconds: settled.as_secs(),
        stored,
        events_per_second: stored * 1000 / millis,
        seen,
        checks,
        ..outcome(run)
    })
}
