//! The even load: a publisher of events, users who send requests, and clients of the live stream.

use super::stage::Stage;
use crate::report::Check;
use crate::tally::{Tally, WRONG};
use anyhow::{Context, Result, ensure};
use async_nats::jetstream;
use chrono::Utc;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tiris_testing::local_http_client;
use tiris_tools::{ApiClient, EventIds, Population, PublishWindow};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::{CancellationToken, DropGuard};

pub(super) const EVENTS_PER_SECOND: u64 = 1_000;
pub(super) const USERS: Population = Population::new(64, 1);
/// Together 200 requests a second.
const REQUESTERS: u64 = 32;
const PACE: Duration = Duration::from_millis(160);
/// Each requester deposits once in this many requests.
const DEPOSIT_EVERY: u64 = 10;
/// Clients of the live stream: as many of each user as one process allows.
const STREAM_USERS: u64 = 4;
const STREAMS_PER_USER: u64 = 5;
/// Reads of a portal.
const READS: [&str; 4] = [
    "/v1/sub-accounts",
    "/v1/tradings",
    "/v1/transactions?limit=20",
    "/v1/trading-logs?limit=20",
];
/// Longer than the limit of the API: a request that reaches it is a finding.
const REQUEST_LIMIT: Duration = Duration::from_secs(20);
/// A stream sends a comment every 15 seconds.
const STREAM_SILENCE_MAX: Duration = Duration::from_secs(60);

pub(super) const PUBLISHED: &str = "events published";
pub(super) const DEPOSITS: &str = "deposits";
const ANSWERED: &str = "requests answered";
const STREAMED: &str = "pieces of live streams";

/// The tasks of the load. Dropping it ends them.
pub(super) struct Load {
    tasks: JoinSet<Result<()>>,
    counts: Arc<Tally>,
    stop: CancellationToken,
    _guard: DropGuard,
}

impl Load {
    pub(super) async fn start(stage: &Stage) -> Result<Self> {
        let counts = Arc::new(Tally::default());
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();

        let nats = jetstream::new(async_nats::connect(stage.servers.bot_url()).await?);
        tasks.spawn(publish(nats, counts.clone(), stop.clone()));
        for number in 0..REQUESTERS {
            let token = stage.api.token(&Population::email(number)).await?;
            let client = ApiClient::new(&stage.api.url(), token, REQUEST_LIMIT)?;
            tasks.spawn(send(client, number, counts.clone(), stop.clone()));
        }
        for user in 0..STREAM_USERS {
            let token = stage.api.token(&Population::email(user)).await?;
            for _ in 0..STREAMS_PER_USER {
                let url = format!("{}/v1/stream", stage.api.url());
                tasks.spawn(follow(url, token.clone(), counts.clone(), stop.clone()));
            }
        }

        Ok(Self {
            tasks,
            counts,
            _guard: stop.clone().drop_guard(),
            stop,
        })
    }

    pub(super) fn published(&self) -> u64 {
        self.counts.get(PUBLISHED)
    }

    /// Fails when a part of the load has ended early.
    pub(super) fn check(&mut self) -> Result<()> {
        match self.tasks.try_join_next() {
            None => Ok(()),
            Some(ended) => ended?.and_then(|()| anyhow::bail!("a part of the load ended early")),
        }
    }

    /// Ends the load and returns its counts.
    pub(super) async fn end(mut self) -> Result<Arc<Tally>> {
        self.stop.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            ended??;
        }
        Ok(self.counts)
    }
}

/// Publishes events at an even pace.
async fn publish(
    nats: jetstream::Context,
    counts: Arc<Tally>,
    stop: CancellationToken,
) -> Result<()> {
    let begun = Instant::now();
    let mut window = PublishWindow::new(&nats);
    for n in 0.. {
        let due = begun + Duration::from_micros(n * 1_000_000 / EVENTS_PER_SECOND);
        let sleep = tokio::time::sleep_until(due);
        if stop.run_until_cancelled(sleep).await.is_none() {
            break;
        }
        let (subject, payload) = USERS.event(n, EventIds::Ordered, Utc::now());
        window.publish(subject, payload).await?;
        counts.count(PUBLISHED);
    }
    window.finish().await
}

/// Sends requests at an even pace, one after the other.
async fn send(
    client: ApiClient,
    number: u64,
    counts: Arc<Tally>,
    stop: CancellationToken,
) -> Result<()> {
    let deposit = format!(
        "/v1/sub-accounts/{}/deposit",
        Population::account_id(number)
    );
    let mut tick = tokio::time::interval(PACE);
    // Requests missed on a slow machine are not made up for.
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);

    let reads = READS.iter().cycle();
    for (turn, path) in (number..).zip(reads) {
        if stop.run_until_cancelled(tick.tick()).await.is_none() {
            break;
        }
        let is_deposit = turn % DEPOSIT_EVERY == 0;
        let answered: Result<Value> = if is_deposit {
            client.post(&deposit, &json!({"amount": "1"})).await
        } else {
            client.get(path).await
        };
        match answered {
            Ok(_) if is_deposit => counts.count(DEPOSITS),
            Ok(_) => counts.count(ANSWERED),
            Err(error) => counts.count(&format!("{WRONG}{error:#}")),
        }
    }
    Ok(())
}

/// Reads a live stream until the end.
async fn follow(
    url: String,
    token: String,
    counts: Arc<Tally>,
    stop: CancellationToken,
) -> Result<()> {
    // The limit of the whole response, which lasts as long as the load.
    let http = local_http_client(Duration::MAX)?;
    let request = http.get(url).bearer_auth(token);
    let mut response = request.send().await?.error_for_status()?;

    loop {
        let piece = tokio::time::timeout(STREAM_SILENCE_MAX, response.chunk());
        let Some(piece) = stop.run_until_cancelled(piece).await else {
            return Ok(());
        };
        let piece = piece.context("a live stream is silent")??;
        ensure!(piece.is_some(), "a live stream ended");
        counts.count(STREAMED);
    }
}

/// Checks that every request was answered.
pub(super) fn requests(counts: &Tally) -> Check {
    let all = counts.all();
    let wrong = all.iter().filter(|(name, _)| name.starts_with(WRONG));
    Check {
        what: "requests are answered",
        extent: format!(
            "{} reads, {} deposits",
            counts.get(ANSWERED),
            counts.get(DEPOSITS)
        ),
        findings: wrong
            .map(|(name, count)| format!("{count} times {name}"))
            .collect(),
    }
}

/// Checks that the live streams sent something; a stream that ends or falls silent ends the run.
pub(super) fn streams(counts: &Tally) -> Check {
    let pieces = counts.get(STREAMED);
    let finding = (pieces == 0).then(|| "nothing was sent".to_owned());
    Check {
        what: "live streams send",
        extent: format!("{} streams", STREAM_USERS * STREAMS_PER_USER),
        findings: finding.into_iter().collect(),
    }
}
