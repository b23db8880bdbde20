//! Every process is restarted in turn, cleanly, under load and REST requests: nobody may notice.
//!
//! Owns: the turns, the rate of requests, what counts as noticing. Must not know: how a process is restarted.

use super::client::{Ask, Client};
use crate::finish::end;
use crate::report::Outcome;
use crate::run::{Load, Options, Run};
use crate::seed::{self, Purpose};
use crate::system::settings::EXIT_LIMIT;
use crate::system::worker::Worker;
use anyhow::{Context, Result};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// As long as there is load every process is restarted again and again.
const LOAD: Load = Load {
    name: "rolling",
    events: 6_000,
    duration: Duration::from_secs(20),
};
/// Together 200 requests a second.
const ASKERS: usize = 16;
const PACE: Duration = Duration::from_millis(80);
const CLIENTS: usize = 4;

pub(crate) async fn run(options: &Options) -> Result<Outcome> {
    let run = Arc::new(Run::begin(LOAD, options, None).await?);
    let mut clients = Vec::new();
    for user in &run.users[..CLIENTS] {
        clients.push(Client::open(&run.system, user).await?);
    }

    let stop = CancellationToken::new();
    let mut askers = JoinSet::new();
    let begun = Instant::now();
    for (number, client) in clients.iter().cycle().take(ASKERS).enumerate() {
        askers.spawn(ask(run.clone(), client.clone(), number, stop.clone()));
    }
    let rolled = roll(&run).await;
    stop.cancel();
    while let Some(ended) = askers.join_next().await {
        ended?;
    }

    let millis = u64::try_from(begun.elapsed().as_millis())?.max(1);
    let rate = run.faults.get("requests answered") * 1000 / millis;
    run.faults.add("requests answered a second", rate);
    let run = Arc::into_inner(run).context("a request outlived the requests")?;
    let extra = clients.iter().map(Client::extra).collect();
    end(run, rolled.map(|()| extra)).await
}

async fn roll(run: &Run) -> Result<()> {
    run.phase_of_load("restarting");
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
async fn restart(run: &Run, worker: &Worker) -> Result<Duration> {
    let slot = worker.slot();
    let mut held = worker.hold().await;
    let begun = Instant::now();
    let exit = held.process().terminate(EXIT_LIMIT).await;
    let took = begun.elapsed();
    match exit {
        Ok(exit) if exit.code() == Some(0) => run.faults.count("worker restarted (SIGTERM)"),
        Ok(exit) => run.wrong(&format!("worker {slot} ended with {exit}")),
        Err(error) => {
            run.wrong(&format!("worker {slot}: {error:#}"));
            held.process().kill().await?;
        }
    }

    held.start_again()?;
    drop(held);
    worker.wait_until_ready().await?;
    Ok(took)
}

/// One of several that ask at an even pace, one request after the other, until the end.
async fn ask(run: Arc<Run>, client: Client, number: usize, stop: CancellationToken) {
    let mut rng = seed::stream(run.options.seed, Purpose::Requests(number));
    let mut tick = tokio::time::interval(PACE);
    // What a slow machine does not manage in time is not made up for.
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);

    while stop.run_until_cancelled(tick.tick()).await.is_some() {
        let what = Ask::draw(&mut rng);
        match client.ask(what).await {
            Ok(answer) if (200..300).contains(&answer.status) => {
                run.faults.count("requests answered")
            }
            Ok(answer) => {
                run.options.view.detail(&answer.body);
                run.wrong(&format!("{what:?} was answered {}", answer.status));
            }
            Err(error) => run.wrong(&format!("{what:?} was not answered: {error:#}")),
        }
    }
}
