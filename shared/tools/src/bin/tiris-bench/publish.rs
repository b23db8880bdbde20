//! The bots: a process that publishes events to JetStream at a given rate.

use anyhow::Result;
use async_nats::jetstream;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::ops::Range;
use std::time::Duration;
use tiris_tools::{EventIds, OrderFlow, Population, PublishWindow, run_program};

const ACK_LIMIT: Duration = Duration::from_secs(20);

/// What bots send.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) enum Load {
    /// A movement of one account after the other.
    Movements(Population, EventIds),
    /// Orders, from their creation to their last fill.
    Orders(OrderFlow),
}

impl Load {
    /// Returns the subject and payload of event `n`.
    pub(crate) fn event(self, n: u64, at: DateTime<Utc>) -> (String, Vec<u8>) {
        match self {
            Self::Movements(population, ids) => population.event(n, ids, at),
            Self::Orders(flow) => flow.event(n, at),
        }
    }

    /// Returns the number of the user of event `n`.
    pub(crate) const fn user_of(self, n: u64) -> u64 {
        match self {
            Self::Movements(population, _) => population.user_of(n % population.accounts),
            Self::Orders(flow) => flow.user_of(n),
        }
    }
}

/// The events to publish, the argument of the publishing process as JSON.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Events {
    pub(crate) nats_url: String,
    pub(crate) load: Load,
    pub(crate) numbers: Range<u64>,
    /// Events a second; 0 publishes as fast as possible.
    pub(crate) rate: u64,
}

impl Events {
    /// Publishes the events from another process of this program.
    pub(crate) async fn publish(&self) -> Result<()> {
        let mut command = tokio::process::Command::new(std::env::current_exe()?);
        command.args(["publish", &serde_json::to_string(self)?]);
        run_program(&mut command).await?;
        Ok(())
    }
}

/// Runs the publishing process.
pub(crate) async fn run(events: &str) -> Result<()> {
    let events: Events = serde_json::from_str(events)?;
    let mut context = jetstream::new(async_nats::connect(&events.nats_url).await?);
    context.set_timeout(ACK_LIMIT);
    let begun = tokio::time::Instant::now();

    let mut window = PublishWindow::new(&context);
    let first = events.numbers.start;
    for n in events.numbers {
        if let Some(micros) = ((n - first) * 1_000_000).checked_div(events.rate) {
            tokio::time::sleep_until(begun + Duration::from_micros(micros)).await;
        }
        let (subject, payload) = events.load.event(n, Utc::now());
        window.publish(subject, payload).await?;
    }
    window.finish().await
}
