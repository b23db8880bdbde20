//! The bots: a process of its own that publishes events to JetStream.
//!
//! Owns: its arguments, its pace, that every event is acknowledged. Must not know: what becomes of them.

use crate::people::{Ids, People};
use anyhow::{Result, ensure};
use async_nats::jetstream;
use chrono::Utc;
use std::process::Stdio;
use std::time::Duration;
use tiris_tools::PublishWindow;

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
        let output = tokio::process::Command::new(std::env::current_exe()?)
            .args(["publish", "--nats-url", nats_url, "--ids", ids])
            .arg(format!("--accounts={}", self.accounts))
            .arg(format!("--accounts-per-user={}", self.accounts_per_user))
            .arg(format!("--first={}", self.first))
            .arg(format!("--count={}", self.count))
            .arg(format!("--rate={}", self.rate))
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await?;

        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success(),
            "the publisher failed: {}",
            errors.trim()
        );
        Ok(())
    }
}

/// What the publishing process does.
pub(crate) async fn run(nats_url: &str, events: Events) -> Result<()> {
    let mut context = jetstream::new(async_nats::connect(nats_url).await?);
    context.set_timeout(ACK_LIMIT);
    let people = events.people();
    let begun = tokio::time::Instant::now();

    let mut window = PublishWindow::new(&context);
    for n in events.first..events.first + events.count {
        if let Some(micros) = ((n - events.first) * 1_000_000).checked_div(events.rate) {
            tokio::time::sleep_until(begun + Duration::from_micros(micros)).await;
        }
        let (subject, payload) = people.event(n, events.ids, Utc::now());
        window.publish(subject, payload).await?;
    }
    window.finish().await
}
