//! Every process is restarted in turn, cleanly, under load and REST requests: nobody may notice.
//!
//! Owns: the turns, the rate of requests, what counts as noticing. Must not know: how a process is restarted.

use super::client::{Ask, Client};
use super::{Options, Run};
use crate::report::Outcome;
use crate::seed::{self, Purpose};
use crate::system::EXIT_LIMIT;
use anyhow::{Result, ensure};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// Events while that goes on.
const EVENTS: u32 = 6_000;
/// As long as there is load every process is restarted again and again.
const LOAD: Duration = Duration::from_secs(20);
/// Together 200 requests a second.
const ASKERS: usize = 16;
const PACE: Duration = Duration::from_millis(80);
const CLIENTS: usize = 4;

pub(crate) async fn run(options: &Options) -> Result<Outcome> {
    let run = Arc::new(Run::begin("rolling", options, (EVENTS, LOAD), None).await?);
    let mut clients = Vec::new();
    for user in &run.users[..CLIENTS] {
        clients.push(Client::open(&run.system, user).await?);
    }
    let end = CancellationToken::new();
    let (mut askers, begun) = (JoinSet::new(), Instant::now());
    for number in 0..ASKERS {
        askers.spawn(ask(
            run.clone(),
            clients[number % CLIENTS].clone(),
            number,
            end.clone(),
        ));
    }
    let rolled = roll(&run).await;
    end.cancel();
    while let Some(ended) = askers.join_next().await {
        ended?;
    }
    let rate = run.faults.get("requests answered") * 1000
        / u64::try_from(begun.elapsed().as_millis())?.max(1);
    run.faults.add("requests answered a second", rate);
    let Some(run) = Arc::into_inner(run) else {
        anyhow::bail!("a request outlived the requests")
    };
    run.end(rolled.map(|()| clients.iter().map(Client::extra).collect()))
        .await
}

async fn roll(run: &Run) -> Result<()> {
    run.options.view.phase("rolling: restarting", run.planned);
    let (mut slowest, mut slowest_api) = (Duration::ZERO, Duration::ZERO);
    while run.begun.elapsed() < LOAD {
        for worker in &run.system.workers {
            ensure!(!run.options.stop.is_cancelled(), "stopped by a signal");
            let mut held = worker.hold().await;
            let begun = Instant::now();
            let exit = held.process().terminate(EXIT_LIMIT).await;
            slowest = slowest.max(begun.elapsed());
            match exit {
                Ok(exit) if exit.code() == Some(0) => {
                    run.faults.count("worker restarted (SIGTERM)")
                }
                Ok(exit) => run.wrong(&format!("worker {} ended with {exit}", worker.slot())),
                Err(error) => {
                    run.wrong(&format!("worker {}: {error:#}", worker.slot()));
                    held.process().kill().await?;
                }
            }
            held.start_again()?;
            drop(held);
            worker.wait_until_ready().await?;
            run.options.view.progress(run.published.get("messages"));
        }
        match run.system.api.lock().await.replace().await {
            Ok(took) => {
                slowest_api = slowest_api.max(took);
                run.faults.count("API replaced (SIGTERM)");
            }
            Err(error) => run.wrong(&format!("{error:#}")),
        }
    }
    run.faults.add(
        "slowest end of a worker, in milliseconds",
        u64::try_from(slowest.as_millis())?,
    );
    run.faults.add(
        "slowest end of an API, in milliseconds",
        u64::try_from(slowest_api.as_millis())?,
    );
    Ok(())
}

/// One of several that ask at an even pace, one request after the other, until the end.
async fn ask(run: Arc<Run>, client: Client, number: usize, end: CancellationToken) {
    let mut rng = seed::stream(run.options.seed, Purpose::Requests(number));
    let mut tick = tokio::time::interval(PACE);
    // What a slow machine does not manage in time is not made up for.
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = end.cancelled() => return,
            _ = tick.tick() => {}
        }
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
