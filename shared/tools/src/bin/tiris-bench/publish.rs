//! The bots: a process that publishes events to JetStream at a given rate.

use anyhow::{Context, Result};
use async_nats::jetstream;
use chrono::Utc;
use clap::ValueEnum;
use std::time::Duration;
use tiris_tools::{EventIds, Population, PublishWindow, run_program};

const ACK_LIMIT: Duration = Duration::from_secs(20);

/// The events to publish.
#[derive(clap::Args, Clone, Copy, Debug)]
pub(crate) struct Events {
    #[arg(long)]
    pub(crate) accounts: u64,
    #[arg(long)]
    pub(crate) accounts_per_user: u64,
    /// The number of the first event
    #[arg(long)]
    pub(crate) first: u64,
    #[arg(long)]
    pub(crate) count: u64,
    #[arg(long, value_enum)]
    pub(crate) ids: EventIds,
    /// Events a second; 0 publishes as fast as possible
    #[arg(long)]
    pub(crate) rate: u64,
}

impl Events {
    /// Publishes the events from another process of this program.
    pub(crate) async fn publish(self, nats_url: &str) -> Result<()> {
        let ids = self.ids.to_possible_value().context("hidden ids")?;
        let mut command = tokio::process::Command::new(std::env::current_exe()?);
        command
            .args(["publish", "--nats-url", nats_url, "--ids", ids.get_name()])
            .arg(format!("--accounts={}", self.accounts))
            .arg(format!("--accounts-per-user={}", self.accounts_per_user))
            .arg(format!("--first={}", self.first))
            .arg(format!("--count={}", self.count))
            .arg(format!("--rate={}", self.rate));
        run_program(&mut command).await?;
        Ok(())
    }
}

/// Runs the publishing process.
pub(crate) async fn run(nats_url: &str, events: Events) -> Result<()> {
    let mut context = jetstream::new(async_nats::connect(nats_url).await?);
    context.set_timeout(ACK_LIMIT);
    let population = Population {
        accounts: events.accounts,
        accounts_per_user: events.accounts_per_user,
    };
    let begun = tokio::time::Instant::now();

    let mut window = PublishWindow::new(&context);
    for n in events.first..events.first + events.count {
        if let Some(micros) = ((n - events.first) * 1_000_000).checked_div(events.rate) {
            tokio::time::sleep_until(begun + Duration::from_micros(micros)).await;
        }
        let (subject, payload) = population.event(n, events.ids, Utc::now());
        window.publish(subject, payload).await?;
    }
    window.finish().await
}
