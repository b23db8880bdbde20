//! Publishing to JetStream with a bounded number of messages in flight.

use anyhow::{Context, Result};
use async_nats::jetstream;
use async_nats::jetstream::context::PublishAckFuture;
use bytes::Bytes;
use std::collections::VecDeque;

/// The maximum number of publishes without an acknowledgement.
const IN_FLIGHT_MAX: usize = 1_000;

/// Publishes messages in order and expects an acknowledgement of each.
#[derive(Debug)]
pub struct PublishWindow<'a> {
    jetstream: &'a jetstream::Context,
    in_flight: VecDeque<PublishAckFuture>,
}

impl<'a> PublishWindow<'a> {
    /// Returns an empty window.
    #[must_use]
    pub fn new(jetstream: &'a jetstream::Context) -> Self {
        Self {
            jetstream,
            in_flight: VecDeque::with_capacity(IN_FLIGHT_MAX),
        }
    }

    /// Publishes a message. Waits for the oldest acknowledgement when 1,000 are missing.
    ///
    /// # Errors
    /// When a message cannot be sent or was not acknowledged.
    pub async fn publish(&mut self, subject: String, payload: impl Into<Bytes>) -> Result<()> {
        let sent = self.jetstream.publish(subject, payload.into()).await?;
        self.in_flight.push_back(sent);

        if self.in_flight.len() >= IN_FLIGHT_MAX {
            self.acknowledge_oldest().await?;
        }
        Ok(())
    }

    /// Waits until everything is acknowledged.
    ///
    /// # Errors
    /// When a message was not acknowledged.
    pub async fn finish(mut self) -> Result<()> {
        while !self.in_flight.is_empty() {
            self.acknowledge_oldest().await?;
        }
        Ok(())
    }

    async fn acknowledge_oldest(&mut self) -> Result<()> {
        if let Some(oldest) = self.in_flight.pop_front() {
            oldest.await.context("a message was not acknowledged")?;
        }
        Ok(())
    }
}
