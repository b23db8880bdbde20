//! One publisher: publishes its script in order, and the same bytes again whatever fails.
//!
//! Owns: the pace and what happens when an acknowledgement does not come. Must not know: what a message says.

use super::late::LateThing;
use super::script::{Sort, Step};
use crate::tally::Tally;
use anyhow::{Context, Result};
use async_nats::jetstream;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::Sender;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Messages under way at once. When one is not acknowledged, it and all behind it are published again.
const WINDOW: usize = 16;
const ACK_LIMIT: Duration = Duration::from_secs(2);
const AGAIN: Duration = Duration::from_millis(100);

/// What a publisher works with.
#[derive(Clone, Debug)]
pub(crate) struct Desk {
    pub(crate) nats_url: String,
    /// The script is spread evenly over this time.
    pub(crate) duration: Duration,
    pub(crate) tally: Arc<Tally>,
    /// Late things an event was published for.
    pub(crate) late: Sender<LateThing>,
    pub(crate) stop: CancellationToken,
}

/// Publishes all of it, or ends early when told to stop.
pub(crate) async fn run(desk: Desk, script: Vec<Step>) -> Result<()> {
    let client = async_nats::ConnectOptions::new()
        .retry_on_initial_connect()
        .connect(&desk.nats_url)
        .await?;
    let mut context = jetstream::new(client);
    context.set_timeout(ACK_LIMIT);
    let begun = Instant::now();
    let count = u32::try_from(script.len()).context("too long a script")?;
    let count = count.max(1);

    let mut done = 0;
    while done < script.len() {
        let due = begun + desk.duration * u32::try_from(done)? / count;
        let slept = desk.stop.run_until_cancelled(tokio::time::sleep_until(due));
        if slept.await.is_none() {
            return Ok(());
        }

        let elapsed = begun.elapsed().as_millis();
        let on_time = elapsed * u128::from(count) / desk.duration.as_millis().max(1);
        let until = usize::try_from(on_time)?
            .saturating_add(1)
            .clamp(done + 1, done + WINDOW)
            .min(script.len());

        let acknowledged = publish(&context, &script[done..until]).await;
        for step in &script[done..done + acknowledged] {
            count_step(&desk, step).await;
        }
        done += acknowledged;
        if done < until {
            desk.tally.count("published again");
            tokio::time::sleep(AGAIN).await;
        }
    }
    Ok(())
}

/// Publishes them; answers how many were acknowledged before the first that was not.
async fn publish(context: &jetstream::Context, steps: &[Step]) -> usize {
    let mut acks = Vec::with_capacity(steps.len());
    for step in steps {
        let message = &step.message;
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

async fn count_step(desk: &Desk, step: &Step) {
    desk.tally.count("messages");
    match step.sort {
        Sort::Event(kind) => {
            desk.tally.count(kind);
            if step.late.is_some() {
                desk.tally.count("for what came late");
            }
        }
        Sort::Duplicate => desk.tally.count("exact duplicates"),
        Sort::Poison(name) => {
            desk.tally.count("poison");
            desk.tally.count(&format!("poison: {name}"));
        }
    }

    if let Some(late) = step.late {
        // Whoever makes them listens until all publishers have ended.
        desk.late.send(late).await.ok();
    }
}
