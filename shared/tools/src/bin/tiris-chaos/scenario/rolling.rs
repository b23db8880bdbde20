//! Every process is restarted in turn, cleanly, under load and REST requests, none of which may fail.

use super::requests::{Expect, Requests};
use crate::finish::end;
use crate::publishing::Publishing;
use crate::report::Outcome;
use crate::run::{Load, Options, Run};
use crate::system::worker::Worker;
use anyhow::Result;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The processes are restarted until the end of the load.
const LOAD: Load = Load {
    name: "rolling",
    events: 6_000,
    duration: Duration::from_secs(20),
    has_unreadable: false,
};

pub(crate) async fn run(options: &Options) -> Result<Outcome> {
    let (run, publishing) = Publishing::begin(LOAD, options).await?;
    let requests = Requests::begin(&run, Expect::Success).await?;
    let rolled = roll(&run).await;
    let accounts = requests.end(&run).await?;
    end(run, publishing, rolled.map(|()| accounts)).await
}

async fn roll(run: &Run) -> Result<()> {
    run.phase("restarting");
    let mut slowest = Duration::ZERO;
    let mut slowest_api = Duration::ZERO;
    while run.begun.elapsed() < LOAD.duration {
        for worker in &run.system.workers {
            run.options.check_stop()?;
            slowest = slowest.max(restart(run, worker).await?);
            run.progress();
        }
        match run.system.api.lock().await.replace().await {
            Ok(took) => {
                slowest_api = slowest_api.max(took);
                run.faults.count("API replaced (SIGTERM)");
            }
            Err(error) => run.wrong(&format!("{error:#}")),
        }
    }

    run.faults.add_millis("slowest end of a worker", slowest)?;
    run.faults.add_millis("slowest end of an API", slowest_api)
}

/// Restarts a worker and waits until it is ready; returns how long its end took.
pub(super) async fn restart(run: &Run, worker: &Arc<Worker>) -> Result<Duration> {
    let mut held = worker.hold().await;
    let begun = Instant::now();
    let stopped = held.service.stop().await;
    let took = begun.elapsed();
    match stopped {
        Ok(_) => run.faults.count("worker restarted (SIGTERM)"),
        Err(error) => {
            run.wrong(&format!("worker {}: {error:#}", worker.slot));
            held.service.process.kill().await?;
        }
    }

    held.start_again()?;
    drop(held);
    worker.wait_until_ready().await?;
    Ok(took)
}
