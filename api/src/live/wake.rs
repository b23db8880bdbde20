//! Wakes streams by NATS messages, which may get lost or come twice: the connection of the process, and the subscription
//! of each stream to its user.

use async_nats::connection::State;
use async_nats::{Client, Event, Message, Subscriber};
use futures_util::{FutureExt, StreamExt};
use std::sync::atomic::Ordering;
use std::time::Duration;
use tiris_domain::ids::UserId;
use tiris_runtime::config::NatsConfig;
use tiris_runtime::health::CheckResult;
use tiris_runtime::nats;
use tiris_runtime::trace::{self, Trace};
use tiris_store::error::{Error, Result};

/// Messages buffered for a busy stream; all of them mean the same.
const WAITING_MAX: usize = 8;
/// Traces that a stream collects between two polls.
const TRACES_MAX: usize = 16;
/// Time limit for passing a subscription to the connection.
const SUBSCRIBE_LIMIT: Duration = Duration::from_secs(1);

/// The NATS connection of the process, `None` when it is not configured.
pub(crate) struct Wakes(Option<Client>);

impl Wakes {
    /// Starts connecting in the background, with unlimited retries.
    pub(super) async fn connect(config: Option<&NatsConfig>) -> Result<Self> {
        let Some(config) = config else {
            return Ok(Self(None));
        };

        let unavailable = |what, source| Error::Unavailable { what, source };
        let options = nats::options(config, "tiris-api")
            .await
            .map_err(|error| unavailable("NATS credentials file", error.into()))?;

        let client = options
            .retry_on_initial_connect()
            .subscription_capacity(WAITING_MAX)
            .event_callback(|event| async move {
                match event {
                    Event::Connected => {
                        nats::gauge_connected(true);
                        tracing::info!("connected to NATS");
                    }
                    Event::Disconnected => {
                        nats::gauge_connected(false);
                        tracing::warn!("lost the connection to NATS; live streams poll instead");
                    }
                    other => tracing::debug!(event = %other, "NATS client event"),
                }
            })
            .connect(config.servers.clone())
            .await
            .map_err(|error| unavailable("NATS", error.into()))?;
        Ok(Self(Some(client)))
    }

    /// Wakes the streams of `user` in every process.
    pub(crate) fn publish_committed(&self, user: UserId) {
        if let Some(client) = &self.0 {
            let trace = trace::current();
            nats::publish_committed(client, user, trace.as_slice());
        }
    }

    /// Reports how streams are woken.
    pub(crate) fn check(&self) -> CheckResult {
        match &self.0 {
            None => Ok("not configured; live streams poll the database instead".to_owned()),
            Some(client) if is_connected(client) => Ok("connected".to_owned()),
            Some(_) => Err("not connected; live streams poll the database instead".to_owned()),
        }
    }

    /// Returns the subscription of a stream of `user`.
    pub(super) fn of(&self, user: UserId) -> Wake {
        Wake {
            client: self.0.clone(),
            user,
            subscription: None,
            connects: 0,
            may_have_missed: false,
            traces: Vec::new(),
        }
    }
}

fn is_connected(client: &Client) -> bool {
    client.connection_state() == State::Connected
}

/// The subscription of a stream.
pub(super) struct Wake {
    client: Option<Client>,
    user: UserId,
    subscription: Option<Subscriber>,
    /// Number of connections so far at the last check.
    connects: u64,
    may_have_missed: bool,
    /// The traces of messages since the last poll.
    traces: Vec<Trace>,
}

impl Wake {
    /// Waits for a message.
    pub(super) async fn woken(&mut self) {
        let Some(subscription) = &mut self.subscription else {
            return std::future::pending().await;
        };
        let Some(message) = subscription.next().await else {
            self.subscription = None;
            return;
        };
        self.note(&message);
        // A single poll answers all messages so far.
        while let Some(subscription) = &mut self.subscription
            && let Some(message) = subscription.next().now_or_never().flatten()
        {
            self.note(&message);
        }
    }

    fn note(&mut self, message: &Message) {
        for trace in nats::traces_of(message.headers.as_ref()) {
            let is_new = self.traces.iter().all(|known| known.id() != trace.id());
            if is_new && self.traces.len() < TRACES_MAX {
                self.traces.push(trace);
            }
        }
    }

    /// Returns the traces of messages since the previous call.
    pub(super) fn take_traces(&mut self) -> Vec<Trace> {
        std::mem::take(&mut self.traces)
    }

    /// Returns whether the subscription works.
    pub(super) fn is_reliable(&self) -> bool {
        self.subscription.is_some() && self.client.as_ref().is_some_and(is_connected)
    }

    /// Subscribes if needed; to be called periodically. Returns whether a message may have been missed since the previous
    /// call, because the subscription or the connection is new.
    pub(super) async fn check(&mut self) -> bool {
        let missed = std::mem::take(&mut self.may_have_missed);
        let Some(client) = self.client.as_ref().filter(|client| is_connected(client)) else {
            return missed;
        };
        let connects = client.statistics().connects.load(Ordering::Relaxed);

        // The server processes a subscription some time after this client sends it.
        self.may_have_missed = std::mem::replace(&mut self.connects, connects) != connects;
        if self.subscription.is_none() {
            let subscribing = client.subscribe(nats::committed_subject(self.user));
            match tokio::time::timeout(SUBSCRIBE_LIMIT, subscribing).await {
                Ok(Ok(subscription)) => {
                    self.subscription = Some(subscription);
                    self.may_have_missed = true;
                }
                Ok(Err(error)) => {
                    tracing::debug!(error = &error as &dyn std::error::Error, "cannot subscribe");
                }
                Err(_) => {}
            }
        }

        missed
    }
}
