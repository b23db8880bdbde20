//! The worker's connection to NATS, with a count of its disconnects.
//!
//! Consumers without acknowledgements do not notice a delivery that is lost in a reconnect, so every reader compares the count
//! with that at its opening.

use async_nats::jetstream::response::Response;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use tiris_domain::ids::UserId;
use tiris_runtime::config::NatsConfig;
use tiris_runtime::nats;
use tiris_runtime::trace::Trace;
use tiris_store::error::{Error, Result, Source};
use tokio::sync::watch;
use uuid::Uuid;

/// A connection to NATS that counts its disconnects.
#[derive(Clone, Debug)]
pub struct Connection {
    /// The NATS client.
    pub client: async_nats::Client,
    /// JetStream on this client.
    pub jetstream: async_nats::jetstream::Context,
    disconnects: watch::Sender<u64>,
}

impl Connection {
    /// Starts connecting and returns immediately. The client retries forever, so that the worker can start before NATS.
    pub async fn open(config: &NatsConfig) -> Result<Self> {
        let disconnects = watch::Sender::new(0);
        let count = disconnects.clone();
        let options = nats::options(config, "tiris-ingest").await;
        let options = options.map_err(|error| unavailable("NATS credentials file", error))?;
        let client = options
            .retry_on_initial_connect()
            .event_callback(move |event| {
                let count = count.clone();
                async move {
                    if event == async_nats::Event::Connected {
                        nats::gauge_connected(true);
                        tracing::info!("connected to NATS");
                        return;
                    }
                    // A slow consumer or a server error can also mean a lost delivery.
                    count.send_modify(|count| *count += 1);
                    if event == async_nats::Event::Disconnected {
                        nats::gauge_connected(false);
                        tracing::warn!("lost the connection to NATS");
                    } else {
                        tracing::warn!(%event, "NATS client event");
                    }
                }
            })
            .connect(config.servers.clone())
            .await
            .map_err(|error| unavailable("NATS", error))?;
        let jetstream = async_nats::jetstream::new(client.clone());

        Ok(Self {
            client,
            jetstream,
            disconnects,
        })
    }

    /// Wakes the live streams of users with committed changes, and passes the traces of the changes on. Best effort: it does
    /// not wait, and it cannot fail.
    pub fn wake(&self, users: &BTreeMap<Uuid, Vec<Trace>>) {
        for (user, traces) in users {
            nats::publish_committed(&self.client, UserId(*user), traces);
        }
    }

    /// Like [`Self::wake`], without traces.
    pub fn wake_untraced(&self, users: &BTreeSet<Uuid>) {
        for user in users {
            nats::publish_committed(&self.client, UserId(*user), &[]);
        }
    }

    /// Returns how often the connection was lost since the start.
    #[must_use]
    pub fn disconnects(&self) -> u64 {
        *self.disconnects.borrow()
    }

    /// Returns the response to a request to the API of JetStream. Fails as soon as the connection is lost, because a response
    /// on its way is lost with it.
    pub async fn request<T: DeserializeOwned>(
        &self,
        subject: String,
        request: &Value,
    ) -> Result<Response<T>> {
        let mut disconnects = self.disconnects.subscribe();
        tokio::select! {
            response = self.jetstream.request(subject, request) => {
                response.map_err(|error| unavailable("NATS", error))
            }
            _ = disconnects.changed() => Err(unavailable("NATS", "the connection was lost")),
        }
    }

    /// Returns whether the connection is up.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.client.connection_state() == async_nats::connection::State::Connected
    }
}

fn unavailable(what: &'static str, error: impl Into<Source>) -> Error {
    let source = error.into();
    Error::Unavailable { what, source }
}
