//! The database is lost and restored to an earlier copy while events go on and workers run.
//!
//! Owns: when the copy is made, what is done over REST and lost with the rest. Must not know: how a copy is made.
//!
//! The streams remember what the database forgot: everything but what came over REST must be as if nothing had happened.

use super::client::{Ask, Client};
use crate::checks::Extra;
use crate::finish::end;
use crate::report::Outcome;
use crate::run::{Load, Options, Run};
use anyhow::{Result, ensure};
use std::time::Duration;
use tiris_testing::binary;

const LOAD: Load = Load {
    name: "restore",
    events: 10_000,
    duration: Duration::from_secs(20),
};
/// From the start to the copy, and from the copy to the restore.
const PAUSE: Duration = Duration::from_secs(6);
const DEPOSITS: u32 = 20;

pub(crate) async fn run(options: &Options) -> Result<Outcome> {
    let run = Run::begin(LOAD, options, None).await?;
    let done = lose_and_restore(&run).await;
    end(run, done).await
}

async fn lose_and_restore(run: &Run) -> Result<Vec<Extra>> {
    run.phase_of_load("before the copy");
    let client = Client::open(&run.system, &run.users[0]).await?;
    deposit(&client).await?;
    pause(run).await;
    run.system.copy_database().await?;
    let kept = client.extra();
    run.faults.count("database copied");

    run.phase_of_load("after the copy");
    run.system.wait_until_ready().await?;
    deposit(&client).await?;
    // This one's trading and account are lost as well.
    deposit(&Client::open(&run.system, &run.users[1]).await?).await?;
    run.faults.add("deposits lost", u64::from(2 * DEPOSITS));
    pause(run).await;

    let before = processed(run).await?;
    run.system.restore_database().await?;
    after_restore(run).await?;
    let after = processed(run).await?;
    run.faults.count("database restored");
    let lost = before.saturating_sub(after);
    run.faults.add("events the database forgot", lost);
    ensure!(
        lost > 0,
        "nothing was lost: {before} events before, {after} after"
    );
    Ok(vec![kept])
}

async fn deposit(client: &Client) -> Result<()> {
    for _ in 0..DEPOSITS {
        let answer = client.ask(Ask::Deposit).await?;
        ensure!(
            answer.status < 300,
            "a deposit was answered {}: {}",
            answer.status,
            answer.body
        );
    }
    Ok(())
}

async fn pause(run: &Run) {
    let sleep = tokio::time::sleep(PAUSE);
    run.options.stop.run_until_cancelled(sleep).await;
    run.progress();
}

async fn processed(run: &Run) -> Result<u64> {
    let count: i64 = sqlx::query_scalar("SELECT count(*) FROM processed_events")
        .fetch_one(&run.system.pool)
        .await?;
    Ok(u64::try_from(count)?)
}

/// As an operator is told to do.
async fn after_restore(run: &Run) -> Result<()> {
    let output = tokio::process::Command::new(binary("tiris-migrate")?)
        .arg("after-restore")
        .env("DATABASE_URL", &run.system.database_url)
        .output()
        .await?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "after-restore: {}: {errors}",
        output.status
    );
    Ok(())
}
