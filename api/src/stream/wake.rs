//! What wakes streams: messages over NATS, which may get lost, come twice, or not come at all.
//!
//! Owns: the one connection of the process, and each stream's subscription to its user. Must not know: what was
//! committed.

use async_nats::connection::State;
use async_nats::{Client, Event, Subscriber};
use futures_util::{FutureExt, StreamExt};
use std::sync::atomic::Ordering;
use std::time::Duration;
use tiris_shared::config::NatsConfig;
use tiris_shared::error::{Error, Result};
use tiris_shared::ids::UserId;
use tiris_shared::nats;

/// Messages kept for a stream that is busy: they all say the same.
const WAITING_MAX: usize = 8;
/// How long subscribing may take: handing a command to the connection.
const SUBSCRIBE_LIMIT: Duration = Duration::from_secs(1);

/// The connection of the process.
pub(crate) struct Wakes {
    client: Option<Client>,
}

impl Wakes {
    /// Starts connecting; returns at once and goes on trying for ever.
    pub(super) async fn connect(config: Option<&NatsConfig>) -> Result<Self> {
        let Some(config) = config else { return Ok(Self { client: None }) };
        let options = nats::options(config, "tiris-api").await?;
        let client = options
            .retry_on_initial_connect()
            .subscription_capacity(WAITING_MAX)
            .event_callback(|event| async move {
                match event {
                    Event::Connected => tracing::info!("connected to NATS"),
                    Event::Disconnected => {
                        tracing::warn!("lost the connection to NATS, live streams look by themselves");
                    }
                    other => tracing::debug!(event = %other, "NATS client event"),
                }
            })
            .connect(config.servers.clone())
            .await
            .map_err(|error| Error::Unavailable { what: "NATS", source: error.into() })?;
        Ok(Self { client: Some(client) })
    }

    /// Tells every process that something of `user` was committed.
    pub(crate) fn tell_committed(&self, user: UserId) {
        if let Some(client) = &self.client {
            nats::tell_committed(client, user);
        }
    }

    /// How streams are woken now, for readiness, which does not depend on it.
    pub(crate) fn describe(&self) -> &'static str {
        match &self.client {
            None => "not configured, live streams look by themselves",
            Some(client) if is_connected(client) => "connected",
            Some(_) => "not connected, live streams look by themselves",
        }
    }

    /// What wakes a stream of `user`.
    pub(super) fn of(&self, user: UserId) -> Wake {
        Wake { client: self.client.clone(), user, subscription: None, connects: 0, may_have_missed: false }
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
}

impl Wake {
    /// Returns when something was committed, as far as messages tell.
    pub(super) async fn woken(&mut self) {
        let Some(subscription) = &mut self.subscription else { return std::future::pending().await };
        if subscription.next().await.is_none() {
            self.subscription = None;
        }
        // One look answers all that came until now.
        while let Some(subscription) = &mut self.subscription
            && subscription.next().now_or_never().flatten().is_some()
        {}
    }

    /// Whether messages come.
    pub(super) fn is_reliable(&self) -> bool {
        self.subscription.is_some() && self.client.as_ref().is_some_and(is_connected)
    }

    /// To be called now and then: subscribes when that was not possible before. Answers whether a message may have been
    /// missed since the call before, because the subscription or the connection is new.
    pub(super) async fn check(&mut self) -> bool {
        let missed = std::mem::take(&mut self.may_have_missed);
        let Some(client) = self.client.as_ref().filter(|client| is_connected(client)) else { return missed };
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
