//! The database is lost and restored to an earlier copy while bots publish and workers run.
//!
//! The streams still hold what the database has lost: except for the deposits over REST, the books must be as if nothing
//! had happened.

use super::client::{Client, Request};
use crate::checks::RestAccount;
use crate::finish::end;
use crate::publishing::Publishing;
use crate::report::Outcome;
use crate::run::{Load, Options, Run};
use anyhow::{Result, ensure};
use std::time::Duration;
use tiris_tools::count_rows;

const LOAD: Load = Load {
    name: "restore",
    events: 10_000,
    duration: Duration::from_secs(20),
    has_unreadable: false,
};
/// From the start to the copy, and from the copy to the restore.
const PAUSE: Duration = Duration::from_secs(6);
const DEPOSITS: u32 = 20;

pub(crate) async fn run(options: &Options) -> Result<Outcome> {
    let (run, publishing) = Publishing::begin(LOAD, options).await?;
    let done = lose_and_restore(&run).await;
    end(run, publishing, done).await
}

async fn lose_and_restore(run: &Run) -> Result<Vec<RestAccount>> {
    run.phase("before the copy");
    let client = Client::open(&run.system, &run.users[0]).await?;
    deposit(&client).await?;
    pause(run).await;
    run.system.copy_database().await?;
    let kept = client.account();
    run.faults.count("database copied");

    run.phase("after the copy");
    run.system.wait_until_ready().await?;
    deposit(&client).await?;
    // The trading and account of this client are lost as well.
    deposit(&Client::open(&run.system, &run.users[1]).await?).await?;
    run.faults.add("deposits lost", u64::from(2 * DEPOSITS));
    pause(run).await;

    let before = count_rows(&run.system.pool, "processed_events").await?;
    run.system.restore_database().await?;
    run.system.migrate(&["after-restore"]).await?;
    let after = count_rows(&run.system.pool, "processed_events").await?;
    run.faults.count("database restored");
    let lost = before.saturating_sub(after);
    run.faults.add("events the database lost", lost);
    ensure!(
        lost > 0,
        "nothing was lost: {before} events before, {after} after"
    );
    Ok(vec![kept])
}

async fn deposit(client: &Client) -> Result<()> {
    for _ in 0..DEPOSITS {
        client.expect_success(Request::Deposit).await?;
    }
    Ok(())
}

async fn pause(run: &Run) {
    let sleep = tokio::time::sleep(PAUSE);
    run.options.stop.run_until_cancelled(sleep).await;
    run.progress();
}
