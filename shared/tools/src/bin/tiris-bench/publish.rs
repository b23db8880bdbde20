//! The bots: a process of its own that publishes events to JetStream.
//!
//! Owns: its arguments, its pace, that every event is acknowledged. Must not know: what becomes of them.

use crate::people::{Ids, People};
use anyhow::{Context, Result, ensure};
use async_nats::jetstream;
use chrono::Utc;
use std::collections::VecDeque;
use std::process::Stdio;
use std::time::Duration;

/// Acknowledgements waited for at once.
const WINDOW: usize = 1_000;
const ACK_LIMIT: Duration = Duration::from_secs(20);

/// Which events.
#[derive(clap::Args, Clone, Copy, Debug)]
pub(crate) struct Events {
    #[arg(long)]
    pub(crate) accounts: u64,
    #[arg(long)]
    pub(crate) accounts_per_user: u64,
    /// Number of the first
    #[arg(long)]
    pub(crate) first: u64,
    #[arg(long)]
    pub(crate) count: u64,
    #[arg(long, value_enum)]
    pub(crate) ids: Ids,
    /// A second; 0 as fast as possible
    #[arg(long)]
    pub(crate) rate: u64,
}

impl Events {
    pub(crate) const fn people(self) -> People {
        People::new(self.accounts, self.accounts_per_user)
    }

    /// Publishes them in another process of this program.
    pub(crate) async fn publish(self, nats_url: &str) -> Result<()> {
        let ids = match self.ids {
            Ids::Ordered => "ordered",
            Ids::Random => "random",
        };
        let arguments = [
            ("--accounts", self.accounts),
            ("--accounts-per-user", self.accounts_per_user),
            ("--first", self.first),
            ("--count", self.count),
            ("--rate", self.rate),
        ];
        let output = tokio::process::Command::new(std::env::current_exe()?)
            .args(["publish", "--nats-url", nats_url, "--ids", ids])
            .args(
                arguments
                    .iter()
                    .flat_map(|(name, value)| [(*name).to_owned(), value.to_string()]),
            )
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await?;
        let told = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success(),
            "the publisher failed: {}",
            told.trim()
        );
        Ok(())
    }
}

/// What the publishing process does.
pub(crate) async fn run(nats_url: &str, events: Events) -> Result<()> {
    let mut context = jetstream::new(async_nats::connect(nats_url).await?);
    context.set_timeout(ACK_LIMIT);
    let (people, begun) = (events.people(), tokio::time::Instant::now());
    let mut under_way = VecDeque::with_capacity(WINDOW);
    for n in events.first..events.first + events.count {
        if let Some(micros) = ((n - events.first) * 1_000_000).checked_div(events.rate) {
            tokio::time::sleep_until(begun + Duration::from_micros(micros)).await;
        }
        let (subject, payload) = people.event(n, events.ids, Utc::now());
        under_way.push_back(context.publish(subject, payload.into()).await?);
        if under_way.len() >= WINDOW
            && let Some(oldest) = under_way.pop_front()
        {
            oldest.await.context("an event was not acknowledged")?;
        }
    }
    for acknowledgement in under_way {
        acknowledgement
            .await
            .context("an event was not acknowledged")?;
    }
    Ok(())
}
