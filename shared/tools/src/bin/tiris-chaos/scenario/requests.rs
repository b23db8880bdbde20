//! Requests at an even pace by several clients, beside the events.

use super::client::{Client, Request};
use crate::checks::RestAccount;
use crate::run::Run;
use crate::seed::{self, Purpose};
use anyhow::Result;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// Together 200 requests a second.
const REQUESTERS: usize = 16;
const PACE: Duration = Duration::from_millis(80);
const CLIENTS: usize = 4;
/// The answers of a database that is away.
const UNAVAILABLE: [u16; 2] = [503, 504];

/// Which answers are findings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expect {
    Success,
    /// Success, or that the database is not available.
    SuccessOrUnavailable,
}

/// The senders of a run.
pub(super) struct Requests {
    clients: Vec<Client>,
    senders: JoinSet<()>,
    stop: CancellationToken,
    begun: Instant,
}

impl Requests {
    /// Signs users in and begins to send.
    pub(super) async fn begin(run: &Arc<Run>, expect: Expect) -> Result<Self> {
        let mut clients = Vec::new();
        for user in &run.users[..CLIENTS] {
            clients.push(Client::open(&run.system, user).await?);
        }

        let stop = CancellationToken::new();
        let mut senders = JoinSet::new();
        for (number, client) in clients.iter().cycle().take(REQUESTERS).enumerate() {
            let sender = Sender {
                run: run.clone(),
                client: client.clone(),
                number,
                expect,
            };
            senders.spawn(sender.send(stop.clone()));
        }
        Ok(Self {
            clients,
            senders,
            stop,
            begun: Instant::now(),
        })
    }

    /// Returns one of the clients.
    pub(super) fn client(&self) -> &Client {
        &self.clients[0]
    }

    /// Sends requests to these APIs in turn from now on.
    pub(super) fn send_to(&self, apis: &[String]) {
        for client in &self.clients {
            client.send_to(apis);
        }
    }

    /// Ends the requests and returns the accounts with their deposits.
    pub(super) async fn end(mut self, run: &Run) -> Result<Vec<RestAccount>> {
        self.stop.cancel();
        while let Some(ended) = self.senders.join_next().await {
            ended?;
        }

        let millis = u64::try_from(self.begun.elapsed().as_millis())?.max(1);
        let rate = run.faults.get("requests answered") * 1000 / millis;
        run.faults.add("requests answered a second", rate);
        Ok(self.clients.iter().map(Client::account).collect())
    }
}

struct Sender {
    run: Arc<Run>,
    client: Client,
    number: usize,
    expect: Expect,
}

impl Sender {
    /// Sends requests, one after the other, until `stop`.
    async fn send(self, stop: CancellationToken) {
        let mut rng = seed::stream(self.run.options.seed, Purpose::Requests(self.number));
        let mut tick = tokio::time::interval(PACE);
        // Requests missed on a slow machine are not made up for.
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);

        while stop.run_until_cancelled(tick.tick()).await.is_some() {
            self.send_one(Request::draw(&mut rng)).await;
        }
    }

    async fn send_one(&self, request: Request) {
        let run = &self.run;
        match self.client.send(request).await {
            Ok(response) if (200..300).contains(&response.status) => {
                run.faults.count("requests answered");
            }
            Ok(response)
                if self.expect == Expect::SuccessOrUnavailable
                    && UNAVAILABLE.contains(&response.status) =>
            {
                run.faults.count("requests answered 503 or 504");
            }
            Ok(response) => {
                run.options.view.detail(&response.body);
                run.wrong(&format!("{request:?} got status {}", response.status));
            }
            Err(error) => run.wrong(&format!("{request:?} got no response: {error:#}")),
        }
    }
}
