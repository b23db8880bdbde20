//! What wakes streams: messages over NATS, which may get lost, come twice, or not come at all.
//!
//! Owns: the one connection of the process, and each stream's subscription to its user. Must not know: what was
//! committed.

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

/// Messages kept for a stream that is busy: they all say the same.
const WAITING_MAX: usize = 8;
/// Traces a stream remembers until it looks.
const TRACES_MAX: usize = 16;
/// How long subscribing may take: handing a command to the connection.
const SUBSCRIBE_LIMIT: Duration = Duration::from_secs(1);

/// The connection of the process.
pub(crate) struct Wakes {
    client: Option<Client>,
}

impl Wakes {
    /// Starts connecting; returns at once and goes on trying for ever.
    pub(super) async fn connect(config: Option<&NatsConfig>) -> Result<Self> {
        let Some(config) = config else {
            return Ok(Self { client: None });
        };
        let options = nats::options(config, "tiris-api")
            .await
            .map_err(unavailable)?;
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
                        tracing::warn!(
                            "lost the connection to NATS, live streams look by themselves"
                        );
                    }
                    other => tracing::debug!(event = %other, "NATS client event"),
                }
            })
            .connect(config.servers.clone())
            .await
            .map_err(|error| Error::Unavailable {
                what: "NATS",
                source: error.into(),
            })?;

        Ok(Self {
            client: Some(client),
        })
    }

    /// Tells every process that something of `user` was committed.
    pub(crate) fn tell_committed(&self, user: UserId) {
        if let Some(client) = &self.client {
            let trace = trace::current();
            nats::publish_committed(client, user, trace.as_slice());
        }
    }

    /// How streams are woken now.
    pub(crate) fn check(&self) -> CheckResult {
        match &self.client {
            None => Ok("not configured, live streams look by themselves".to_owned()),
            Some(client) if is_connected(client) => Ok("connected".to_owned()),
            Some(_) => Err("not connected, live streams look by themselves".to_owned()),
        }
    }

    /// What wakes a stream of `user`.
    pub(super) fn of(&self, user: UserId) -> Wake {
        let client = self.client.clone();
        Wake {
            client,
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

/// What wakes one stream.
pub(super) struct Wake {
    client: Option<Client>,
    user: UserId,
    subscription: Option<Subscriber>,
    /// Connections there were when it was last looked.
    connects: u64,
    may_have_missed: bool,
    /// What messages named since the last look.
    traces: Vec<Trace>,
}

impl Wake {
    /// Returns when something was committed, as far as messages tell.
    pub(super) async fn woken(&mut self) {
        let Some(subscription) = &mut self.subscription else {
            return std::future::pending().await;
        };
        let Some(message) = subscription.next().await else {
            self.subscription = None;
            return;
        };
        self.note(&message);
        // One look answers all that came until now.
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

    /// The traces that were named since the call before.
    pub(super) fn take_traces(&mut self) -> Vec<Trace> {
        std::mem::take(&mut self.traces)
    }

    /// Whether messages come.
    pub(super) fn is_reliable(&self) -> bool {
        self.subscription.is_some() && self.client.as_ref().is_some_and(is_connected)
    }

    /// To be called now and then: subscribes when that was not possible before. Answers whether a message may have been
    /// missed since the call before, because the subscription or the connection is new.
    pub(super) async fn check(&mut self) -> bool {
        let missed = std::mem::take(&mut self.may_have_missed);
        let Some(client) = self.client.as_ref().filter(|client| is_connected(client)) else {
            return missed;
        };
        let connects = client.statistics().connects.load(Ordering::Relaxed);

        // The server learns of a subscription some time after it is made here.
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

fn unavailable(error: anyhow::Error) -> Error {
    Error::Unavailable {
        what: "NATS credentials file",
        source: error.into(),
    }
}
