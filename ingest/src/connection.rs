//! The worker's connection to NATS, and how often it was lost.
//!
//! With consumers that acknowledge nothing, a delivery lost in a reconnect leaves no trace; so every reader compares
//! the count of disconnects with the one it was opened at.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tiris_domain::ids::UserId;
use tiris_runtime::config::NatsConfig;
use tiris_runtime::nats;
use tiris_runtime::trace::Trace;
use tiris_store::error::{Error, Result};
use uuid::Uuid;

/// A JetStream context that knows how often its connection was lost.
#[derive(Clone, Debug)]
pub struct Connection {
    /// The client below.
    pub client: async_nats::Client,
    /// Its JetStream.
    pub jetstream: async_nats::jetstream::Context,
    disconnects: Arc<AtomicU64>,
}

impl Connection {
    /// Starts connecting; returns at once and goes on trying for ever, so that the worker can start before NATS.
    pub async fn open(config: &NatsConfig) -> Result<Self> {
        let disconnects = Arc::new(AtomicU64::new(0));
        let count = disconnects.clone();
        let options = nats::options(config, "tiris-ingest")
            .await
            .map_err(unavailable)?;
        let client = options
            .retry_on_initial_connect()
            .event_callback(move |event| {
                let count = count.clone();
                async move {
                    match event {
                        async_nats::Event::Connected => {
                            nats::gauge_connected(true);
                            tracing::info!("connected to NATS");
                        }
                        async_nats::Event::Disconnected => {
                            nats::gauge_connected(false);
                            count.fetch_add(1, Ordering::AcqRel);
                            tracing::warn!("lost the connection to NATS");
                        }
                        other => {
                            // A slow consumer or a server error can mean a lost delivery as well.
                            count.fetch_add(1, Ordering::AcqRel);
                            tracing::warn!(event = %other, "NATS client event");
                        }
                    }
                }
            })
            .connect(config.servers.clone())
            .await
            .map_err(|error| Error::Unavailable {
                what: "NATS",
                source: error.into(),
            })?;
        let jetstream = async_nats::jetstream::new(client.clone());

        Ok(Self {
            client,
            jetstream,
            disconnects,
        })
    }

    /// Wakes the live streams of users of whom something was committed, with the traces it belongs to; nothing waits for
    /// it and it cannot fail.
    pub fn wake(&self, users: &BTreeMap<Uuid, Vec<Trace>>) {
        for (user, traces) in users {
            nats::publish_committed(&self.client, UserId(*user), traces);
        }
    }

    /// The same where the traces are not known.
    pub fn wake_untraced(&self, users: &BTreeSet<Uuid>) {
        for user in users {
            nats::publish_committed(&self.client, UserId(*user), &[]);
        }
    }

    /// How often the connection was lost since the start.
    #[must_use]
    pub fn disconnects(&self) -> u64 {
        self.disconnects.load(Ordering::Acquire)
    }

    /// Whether it is there now.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.client.connection_state() == async_nats::connection::State::Connected
    }
}

fn unavailable(error: anyhow::Error) -> Error {
    Error::Unavailable {
        what: "NATS credentials file",
        source: error.into(),
    }
}
