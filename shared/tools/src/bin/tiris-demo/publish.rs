//! Publishes events so that none is lost and those about money stay in order.
//!
//! An event about orders or balances is published only after the previous one was acknowledged, because several in flight
//! could change places when the connection breaks. Signals, errors and heartbeats do not depend on each other, so many
//! of them are in flight at once. An event that is not acknowledged is published again; ingest ignores the duplicate.

use crate::message::Message;
use crate::progress::Progress;
use anyhow::{Context, Result, anyhow, ensure};
use async_nats::jetstream;
use async_nats::jetstream::context::PublishErrorKind;
use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::{FuturesUnordered, StreamExt};
use std::collections::BTreeMap;
use std::time::Duration;
use tiris_domain::event::Kind;
use tiris_runtime::config::NatsConfig;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Events without an order that may await their acknowledgement at once.
const IN_FLIGHT_MAX: usize = 512;
/// A broken connection loses acknowledgements silently; until then the bot stands still.
const ACK_TIMEOUT: Duration = Duration::from_secs(2);
/// Pause before the first retry; it doubles up to the maximum.
const BACKOFF_MIN: Duration = Duration::from_millis(200);
const BACKOFF_MAX: Duration = Duration::from_secs(5);
/// How long NATS may refuse everything before the bot gives up.
const RETRY_LIMIT: Duration = Duration::from_secs(120);
/// At most the events of this time are published at once to catch up with the rate.
const CATCH_UP: Duration = Duration::from_secs(1);

/// Counts of published events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Events sent to NATS, by event type.
    pub(crate) sent: BTreeMap<&'static str, u64>,
    pub(crate) acknowledged: u64,
}

impl Tally {
    /// Returns the number of events sent to NATS.
    pub(crate) fn total(&self) -> u64 {
        self.sent.values().sum()
    }

    /// Returns one line for a user.
    pub(crate) fn summary(&self, elapsed: Duration) -> String {
        let sent = self.total();
        let rate = u128::from(sent) * 1_000 / elapsed.as_millis().max(1);
        let acknowledged = self.acknowledged;
        format!("{sent} sent, {acknowledged} acknowledged, {rate} events/s")
    }
}

/// Publishes the events of one bot.
pub(crate) struct Publisher {
    jetstream: jetstream::Context,
    /// Messages, and whether they were acknowledged.
    in_flight: FuturesUnordered<BoxFuture<'static, (Message, bool)>>,
    stop: CancellationToken,
    pub(crate) tally: Tally,
}

impl Publisher {
    /// Connects as a bot of `user`, and waits for the server until [`RETRY_LIMIT`].
    pub(crate) async fn connect(
        nats: &NatsConfig,
        user: Uuid,
        stop: &CancellationToken,
    ) -> Result<Self> {
        // The only inbox that the broker grants to bots.
        let inbox = format!("_INBOX_{user}");
        let progress = Progress::new(None);
        let mut retry = Retry::new(stop);
        let client = loop {
            let options = tiris_runtime::nats::options(nats, "tiris-demo-bot").await?;
            let options = options.custom_inbox_prefix(&inbox);
            let connected = options.connect(nats.servers.as_slice()).await;
            match connected.context("cannot reach NATS; is it up, and is NATS_URL right?") {
                Ok(client) => break client,
                Err(error) => ensure!(
                    retry.pause(error, &progress).await?,
                    "stopped before NATS was reached"
                ),
            }
        };
        let mut jetstream = jetstream::new(client);
        jetstream.set_timeout(ACK_TIMEOUT);

        Ok(Self {
            jetstream,
            in_flight: FuturesUnordered::new(),
            stop: stop.clone(),
            tally: Tally::default(),
        })
    }

    /// Publishes the next event; `false` when the bot was stopped before NATS accepted it.
    pub(crate) async fn send(&mut self, message: Message, progress: &Progress) -> Result<bool> {
        let subject = message.kind.bare_subject();
        *self.tally.sent.entry(subject).or_default() += 1;
        if keeps_order(message.kind) {
            return self.deliver(&message, progress).await;
        }

        let sent = self
            .jetstream
            .publish(message.subject.clone(), message.payload.clone())
            .await;
        let Ok(acknowledgement) = sent else {
            return self.deliver(&message, progress).await;
        };
        let acknowledged = acknowledgement.into_future();
        let outcome = acknowledged.map(|outcome| (message, outcome.is_ok()));
        self.in_flight.push(outcome.boxed());
        self.settle(IN_FLIGHT_MAX, progress).await
    }

    /// Waits until at most `limit` events await their acknowledgement; `false` when the bot was stopped before.
    pub(crate) async fn settle(&mut self, limit: usize, progress: &Progress) -> Result<bool> {
        loop {
            let is_above = self.in_flight.len() > limit;
            let next = self.in_flight.next();
            // Also polls below the limit, which starts the timeout of the newest event.
            let settled = if is_above {
                next.await
            } else {
                next.now_or_never().flatten()
            };

            match settled {
                None => return Ok(true),
                Some((_, true)) => self.tally.acknowledged += 1,
                Some((message, false)) => {
                    if !self.deliver(&message, progress).await? {
                        return Ok(false);
                    }
                }
            }
        }
    }

    /// Publishes until it is acknowledged; `false` when the bot was stopped before.
    async fn deliver(&mut self, message: &Message, progress: &Progress) -> Result<bool> {
        let mut retry = Retry::new(&self.stop);
        while let Err(error) = publish_once(&self.jetstream, message).await {
            if !retry.pause(error, progress).await? {
                return Ok(false);
            }
        }
        self.tally.acknowledged += 1;
        Ok(true)
    }
}

async fn publish_once(jetstream: &jetstream::Context, message: &Message) -> Result<()> {
    let subject = &message.subject;
    let payload = message.payload.clone();
    let outcome = match jetstream.publish(subject.clone(), payload).await {
        Ok(acknowledgement) => acknowledgement.await.map(drop),
        Err(error) => Err(error),
    };

    outcome.map_err(|error| match error.kind() {
        PublishErrorKind::StreamNotFound => anyhow!(
            "no stream accepts {subject}: `tiris-ingest run` creates the streams; is it running?"
        ),
        PublishErrorKind::TimedOut => anyhow!("NATS did not acknowledge an event in time"),
        _ => anyhow!("NATS did not accept an event: {error}"),
    })
}

/// Returns whether an event must stay in order with others of its sort.
pub(crate) const fn keeps_order(kind: Kind) -> bool {
    match kind {
        Kind::OrderCreated | Kind::OrderFilled | Kind::OrderCancelled | Kind::OrderFailed => true,
        Kind::BalanceUpdated | Kind::BalanceLocked | Kind::BalanceUnlocked => true,
        Kind::Error | Kind::Signal | Kind::Heartbeat => false,
    }
}

/// Pauses with exponential backoff until [`RETRY_LIMIT`].
struct Retry {
    stop: CancellationToken,
    next: Duration,
    deadline: Instant,
}

impl Retry {
    fn new(stop: &CancellationToken) -> Self {
        Self {
            stop: stop.clone(),
            next: BACKOFF_MIN,
            deadline: Instant::now() + RETRY_LIMIT,
        }
    }

    /// Pauses after a failure, the first of which is shown; `false` when the bot was stopped, an error after the limit.
    async fn pause(&mut self, failure: anyhow::Error, progress: &Progress) -> Result<bool> {
        if Instant::now() >= self.deadline {
            let seconds = RETRY_LIMIT.as_secs();
            return Err(failure.context(format!("gave up after {seconds} seconds")));
        }
        if self.next == BACKOFF_MIN {
            progress.note(&format!("{failure:#}; retrying"));
        }

        let pause = tokio::time::sleep(self.next);
        self.next = (self.next * 2).min(BACKOFF_MAX);
        Ok(self.stop.run_until_cancelled(pause).await.is_some())
    }
}

/// Limits events to a steady rate; catches up after a delay, at most by the events of [`CATCH_UP`].
#[derive(Debug)]
pub(crate) struct Pace {
    interval: Duration,
    next: Instant,
}

impl Pace {
    pub(crate) fn new(events_per_second: u32) -> Self {
        Self {
            interval: Duration::from_secs(1) / events_per_second.max(1),
            next: Instant::now(),
        }
    }

    /// Waits until the next event is due, or until `stop`.
    pub(crate) async fn wait(&mut self, stop: &CancellationToken) {
        let oldest = Instant::now().checked_sub(CATCH_UP).unwrap_or(self.next);
        self.next = self.next.max(oldest);
        stop.run_until_cancelled(tokio::time::sleep_until(self.next))
            .await;
        self.next += self.interval;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn time_of(events: u32, events_per_second: u32, stop: &CancellationToken) -> Duration {
        let start = Instant::now();
        let mut pace = Pace::new(events_per_second);
        for _ in 0..events {
            pace.wait(stop).await;
        }
        start.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn ten_events_at_five_a_second_take_two_seconds() {
        let elapsed = time_of(11, 5, &CancellationToken::new()).await;
        let expected = Duration::from_secs(2)..Duration::from_millis(2_100);
        assert!(expected.contains(&elapsed), "{elapsed:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_ends_every_wait_at_once() {
        let stop = CancellationToken::new();
        stop.cancel();
        let elapsed = time_of(100, 1, &stop).await;
        assert!(elapsed < Duration::from_secs(1), "{elapsed:?}");
    }
}
