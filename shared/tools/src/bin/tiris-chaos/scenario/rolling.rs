//! Every process is restarted in turn, cleanly, under load and REST requests, none of which may fail.

use super::client::{Client, Request};
use crate::finish::end;
use crate::publishing::Publishing;
use crate::report::Outcome;
use crate::run::{Load, Options, Run};
use crate::seed::{self, Purpose};
use crate::system::worker::Worker;
use anyhow::Result;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// The processes are restarted until the end of the load.
const LOAD: Load = Load {
    name: "rolling",
    events: 6_000,
    duration: Duration::from_secs(20),
    has_unreadable: false,
};
/// Together 200 requests a second.
const REQUESTERS: usize = 16;
const PACE: Duration = Duration::from_millis(80);
const CLIENTS: usize = 4;

pub(crate) async fn run(options: &Options) -> Result<Outcome> {
    let (run, publishing) = Publishing::begin(LOAD, options, None).await?;
    let mut clients = Vec::new();
    for user in &run.users[..CLIENTS] {
        clients.push(Client::open(&run.system, user).await?);
    }

    let stop = CancellationToken::new();
    let mut requesters = JoinSet::new();
    let begun = Instant::now();
    for (number, client) in clients.iter().cycle().take(REQUESTERS).enumerate() {
        requesters.spawn(send(run.clone(), client.clone(), number, stop.clone()));
    }
    let rolled = roll(&run).await;
    stop.cancel();
    while let Some(ended) = requesters.join_next().await {
        ended?;
    }

    let millis = u64::try_from(begun.elapsed().as_millis())?.max(1);
    let rate = run.faults.get("requests answered") * 1000 / millis;
    run.faults.add("requests answered a second", rate);
    let accounts = clients.iter().map(Client::account).collect();
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
async fn restart(run: &Run, worker: &Arc<Worker>) -> Result<Duration> {
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

/// Sends requests at an even pace, one after the other, until the end.
async fn send(run: Arc<Run>, client: Client, number: usize, stop: CancellationToken) {
    let mut rng = seed::stream(run.options.seed, Purpose::Requests(number));
    let mut tick = tokio::time::interval(PACE);
    // Requests missed on a slow machine are not made up for.
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);

    while stop.run_until_cancelled(tick.tick()).await.is_some() {
        let request = Request::draw(&mut rng);
        match client.send(request).await {
            Ok(response) if (200..300).contains(&response.status) => {
                run.faults.count("requests answered");
            }
            Ok(response) => {
                run.options.view.detail(&response.body);
                run.wrong(&format!("{request:?} got status {}", response.status));
            }
            Err(error) => run.wrong(&format!("{request:?} got no response: {error:#}")),
        }
    }
}
