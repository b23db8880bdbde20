//! The rollout of processes of this build only.

use super::{pause, schema};
use crate::run::Run;
use crate::scenario::rolling;
use anyhow::Result;

/// Changes the schema under load and replaces processes meanwhile.
pub(super) async fn roll_out(run: &Run) -> Result<()> {
    let reason = "give one with --old-bin";
    run.faults
        .count(&format!("processes of an earlier release: none, {reason}"));

    pause(run).await?;
    schema::add_columns(run).await?;
    pause(run).await?;
    new_processes(run, 0).await?;
    pause(run).await?;
    schema::narrow_types(run).await?;
    pause(run).await?;
    schema::widen_types(run).await?;
    pause(run).await?;
    new_processes(run, 1).await?;
    pause(run).await?;
    schema::remove_columns(run).await?;
    pause(run).await
}

/// Replaces a worker and the API.
async fn new_processes(run: &Run, slot: usize) -> Result<()> {
    run.phase("new processes");
    rolling::restart(run, &run.system.workers[slot]).await?;
    run.system.api.lock().await.replace().await?;
    run.faults.count("API replaced (SIGTERM)");
    Ok(())
}

/// Reverts the newest migration and applies it again. Processes that need it are stopped meanwhile, while bots publish on.
pub(super) async fn revert_and_apply(run: &Run) -> Result<()> {
    run.phase("newest migration reverted and applied");
    let mut api = run.system.api.lock().await;
    api.stop().await?;
    let mut held = Vec::new();
    for worker in &run.system.workers {
        let mut worker = worker.hold().await;
        worker.service.stop().await?;
        held.push(worker);
    }

    run.system.migrate(&["down", "--steps=1", "--yes"]).await?;
    run.system.migrate(&["up"]).await?;
    run.faults.count("newest migration reverted and applied");

    for mut worker in held {
        worker.start_again()?;
    }
    api.start_again().await
}
