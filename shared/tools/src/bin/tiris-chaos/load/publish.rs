//! A publisher: publishes its script in order, and the same bytes again after a failure.

use super::event::Message;
use super::late::LateResource;
use super::script::{Sort, Step};
use crate::run::Run;
use anyhow::{Context, Result};
use async_nats::jetstream;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::Sender;
use tokio::time::Instant;

/// The maximum number of messages in flight. When one is not acknowledged, it and all after it are published again.
const WINDOW: usize = 16;
const ACK_LIMIT: Duration = Duration::from_secs(2);
const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// Publishes a script, spread over the duration of the load, and reports late resources to `late`. Ends early on a signal to
/// stop.
pub(crate) async fn run(
    run: Arc<Run>,
    late: Sender<LateResource>,
    script: Vec<Step>,
) -> Result<()> {
    let bots = Bots {
        bot: connect(&run.system.bot_url).await?,
        owner: connect(&run.system.nats_url).await?,
    };
    let duration = run.load.duration;
    let begun = Instant::now();
    let count = u32::try_from(script.len()).context("too long a script")?;
    let count = count.max(1);

    let mut done = 0;
    while done < script.len() {
        let due = begun + duration * u32::try_from(done)? / count;
        let sleep = tokio::time::sleep_until(due);
        if run.options.stop.run_until_cancelled(sleep).await.is_none() {
            return Ok(());
        }

        let elapsed = begun.elapsed().as_millis();
        let on_time = elapsed * u128::from(count) / duration.as_millis().max(1);
        let until = usize::try_from(on_time)?
            .saturating_add(1)
            .clamp(done + 1, done + WINDOW)
            .min(script.len());

        let acknowledged = bots.publish(&script[done..until]).await;
        for step in &script[done..done + acknowledged] {
            count_step(&run, step);
            if let Some(resource) = step.late {
                // The receiver is gone only after the end of the run.
                late.send(resource).await.ok();
            }
        }
        done += acknowledged;
        if done < until {
            run.published.count("published again");
            tokio::time::sleep(RETRY_PAUSE).await;
        }
    }
    Ok(())
}

async fn connect(url: &str) -> Result<jetstream::Context> {
    let client = async_nats::ConnectOptions::new()
        .retry_on_initial_connect()
        .connect(url)
        .await?;
    let mut context = jetstream::new(client);
    context.set_timeout(ACK_LIMIT);
    Ok(context)
}

/// The connections of a publisher.
struct Bots {
    bot: jetstream::Context,
    /// The account of bots does not have the subjects without a user.
    owner: jetstream::Context,
}

impl Bots {
    fn of(&self, message: &Message) -> &jetstream::Context {
        match message.names_user() {
            true => &self.bot,
            false => &self.owner,
        }
    }

    /// Publishes steps and returns the number acknowledged before the first failure.
    async fn publish(&self, steps: &[Step]) -> usize {
        let mut acks = Vec::with_capacity(steps.len());
        for step in steps {
            let message = &step.message;
            let context = self.of(message);
            let sent = context.publish(message.subject.clone(), message.payload.clone().into());
            match tokio::time::timeout(ACK_LIMIT, sent).await {
                Ok(Ok(ack)) => acks.push(ack),
                Ok(Err(_)) | Err(_) => break,
            }
        }

        let mut acknowledged = 0;
        for ack in acks {
            if ack.await.is_err() {
                break;
            }
            acknowledged += 1;
        }
        acknowledged
    }
}

fn count_step(run: &Run, step: &Step) {
    let published = &run.published;
    published.count("messages");
    match step.sort {
        Sort::Event(kind) => {
            published.count(kind);
            if step.late.is_some() {
                published.count("for resources created late");
            }
        }
        Sort::Duplicate => published.count("exact duplicates"),
        Sort::Poison(name) => {
            published.count("poison");
            published.count(&format!("poison: {name}"));
        }
    }
}
