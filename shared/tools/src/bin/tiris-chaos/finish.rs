//! The end of a scenario: the rest of the load, recovery, and the comparison of everything.

use crate::checks::{self, Extra};
use crate::keep;
use crate::report::{Check, Outcome};
use crate::run::Run;
use anyhow::{Context, Result};
use std::collections::BTreeMap;

/// After `done`, the scenario's own part, waits for the end of the load, lets everything recover, and compares.
/// Trouble on the way is a finding, so that there is a report of it.
///
/// # Errors
/// When it was stopped by a signal.
pub(crate) async fn end(mut run: Run, done: Result<Vec<Extra>>) -> Result<Outcome> {
    run.options.check_stop()?;
    let finished = match done {
        Ok(extra) => finish(&mut run, &extra).await,
        Err(error) => Err(error),
    };
    run.options.check_stop()?;

    let outcome = finished.unwrap_or_else(|error| broken(&run, &error));
    if !outcome.passed() {
        let folder = run.options.keep.join(run.name);
        let place = folder.display();
        let line = match keep::everything(&run.system, &folder).await {
            Ok(()) => format!("kept for diagnosis: {place}"),
            Err(error) => format!("not everything could be kept in {place}: {error:#}"),
        };
        run.options.view.say(&line);
    }
    Ok(outcome)
}

fn broken(run: &Run, error: &anyhow::Error) -> Outcome {
    let check = Check::new(
        "the run comes to its end",
        "everything".to_owned(),
        vec![format!("{error:#}")],
    );
    let seconds = run.begun.elapsed().as_secs();

    Outcome {
        scenario: run.name,
        load_seconds: seconds,
        settled_seconds: seconds,
        stored: run.published.get("messages"),
        events_per_second: 0,
        published: run.published.all(),
        faults: run.faults.all(),
        seen: BTreeMap::new(),
        checks: vec![check],
    }
}

async fn finish(run: &mut Run, extra: &[Extra]) -> Result<Outcome> {
    run.phase_of_load("the rest of the load");
    let late = run.end_load().await?;
    run.options.check_stop()?;
    let loaded = run.begun.elapsed();

    run.phase("recovering");
    run.system
        .wait_until_ready()
        .await
        .context("the system does not recover")?;
    let messages = checks::stream::read_all(&run.system.nats_url).await?;
    checks::settle::wait(&run.system, &messages, &run.options).await?;
    let settled = run.begun.elapsed();

    run.phase("comparing");
    let checks = checks::all(run, &messages, extra).await?;
    let stored = u64::try_from(messages.len())?;
    let mut seen = checks::seen::from_logs(&run.system).await?;
    seen.insert("late things made".to_owned(), u64::try_from(late)?);
    seen.insert(
        "stored twice because an acknowledgement was lost".to_owned(),
        stored.saturating_sub(run.published.get("messages")),
    );
    let millis = u64::try_from(settled.as_millis())?.max(1);
    Ok(Outcome {
        scenario: run.name,
        load_seconds: loaded.as_secs(),
        settled_seconds: settled.as_secs(),
        stored,
        events_per_second: stored * 1000 / millis,
        published: run.published.all(),
        faults: run.faults.all(),
        seen,
        checks,
    })
}
