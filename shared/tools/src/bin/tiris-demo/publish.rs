//! Publishes events so that none is lost and none about money overtakes another.
//!
//! Owns: acknowledgements, repetition, pace. Must not know: what the events mean.
//!
//! An event about orders or balances is published only when the one before it is acknowledged: several in flight could
//! change places when the connection breaks between them. Signals, errors and heartbeats build on nothing, so many of
//! them are in flight at once. Whatever is not acknowledged is published again, which is harmless: the event id tells.

use super::message::Message;
use super::progress::Progress;
use anyhow::Context;
use async_nats::jetstream::{
    self,
    context::{PublishError, PublishErrorKind},
};
use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::{FuturesUnordered, StreamExt};
use std::collections::BTreeMap;
use std::time::Duration;
use tiris_domain::event::Kind;
use tiris_runtime::config::NatsConfig;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Events without an order between them that may wait for their acknowledgement at once.
const IN_FLIGHT_MAX: usize = 512;
/// A broken connection swallows acknowledgements without a word; until then the bot stands still.
const ACK_TIMEOUT: Duration = Duration::from_secs(2);
/// Pause before the first repetition; it doubles from time to time up to the other.
const BACKOFF_MIN: Duration = Duration::from_millis(200);
const BACKOFF_MAX: Duration = Duration::from_secs(5);
/// How long NATS may refuse everything before the bot gives up.
const PATIENCE: Duration = Duration::from_secs(120);

/// What was published.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Events handed to NATS, by event type.
    pub(super) sent: BTreeMap<&'static str, u64>,
    /// Events a stream acknowledged.
    pub(super) acknowledged: u64,
}

impl Tally {
    /// Events handed to NATS.
    pub(super) fn total(&self) -> u64 {
        self.sent.values().sum()
    }
}

/// How a publication ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Delivery {
    /// Handed over; about orders and balances also acknowledged.
    Done,
    /// NATS did not take it and the bot was told to stop.
    Stopped,
}

/// A message that waited for its acknowledgement, and how that ended.
type Published = (Message, Result<(), PublishError>);

/// Publishes the events of one bot.
pub(super) struct Publisher {
    jetstream: jetstream::Context,
    in_flight: FuturesUnordered<BoxFuture<'static, Published>>,
    stop: CancellationToken,
    /// What was published so far.
    pub(super) tally: Tally,
}

impl Publisher {
    /// Connects, waiting for the server for a while.
    pub(super) async fn connect(
        nats: &NatsConfig,
        stop: CancellationToken,
    ) -> anyhow::Result<Self> {
        let mut retry = Retry::new(stop.clone());
        let client = loop {
            let options = tiris_runtime::nats::options(nats, "tiris-demo-bot").await?;
            match options.connect(nats.servers.as_slice()).await {
                Ok(client) => break client,
                Err(error) => {
                    if retry.is_first() {
                        eprintln!("cannot reach NATS yet: {error}; trying again");
                    }
                    if !retry.pause().await {
                        return Err(error)
                            .context("cannot reach NATS; is it up, and is NATS_URL right?");
                    }
                }
            }
        };
        let mut jetstream = jetstream::new(client);
        jetstream.set_timeout(ACK_TIMEOUT);

        Ok(Self {
            jetstream,
            in_flight: FuturesUnordered::new(),
            stop,
            tally: Tally::default(),
        })
    }

    /// Publishes the next event.
    pub(super) async fn send(
        &mut self,
        message: Message,
        progress: &Progress,
    ) -> anyhow::Result<Delivery> {
        let sent = &mut self.tally.sent;
        *sent.entry(message.kind.bare_subject()).or_default() += 1;
        if keeps_order(message.kind) {
            return self.deliver(&message, progress).await;
        }
        while self.in_flight.len() >= IN_FLIGHT_MAX {
            if let Some(published) = self.in_flight.next().await
                && let Delivery::Stopped = self.conclude(published, progress).await?
            {
                return Ok(Delivery::Stopped);
            }
        }
        let sent = self
            .jetstream
            .publish(message.subject.clone(), message.payload.clone())
            .await;
        let Ok(acknowledgement) = sent else {
            return self.deliver(&message, progress).await;
        };

        let acknowledged = acknowledgement.into_future();
        let published = acknowledged.map(|outcome| (message, outcome.map(drop)));
        self.in_flight.push(published.boxed());
        // Starts the clock of the new one and counts what came back.
        while let Some(Some(published)) = self.in_flight.next().now_or_never() {
            if let Delivery::Stopped = self.conclude(published, progress).await? {
                return Ok(Delivery::Stopped);
            }
        }
        Ok(Delivery::Done)
    }

    /// Waits until everything published is acknowledged.
    pub(super) async fn settle(&mut self, progress: &Progress) -> anyhow::Result<Delivery> {
        while let Some(published) = self.in_flight.next().await {
            if let Delivery::Stopped = self.conclude(published, progress).await? {
                return Ok(Delivery::Stopped);
            }
        }
        Ok(Delivery::Done)
    }

    async fn conclude(
        &mut self,
        (message, outcome): Published,
        progress: &Progress,
    ) -> anyhow::Result<Delivery> {
        if outcome.is_ok() {
            self.tally.acknowledged += 1;
            return Ok(Delivery::Done);
        }
        self.deliver(&message, progress).await
    }

    /// Publishes until it is acknowledged.
    async fn deliver(
        &mut self,
        message: &Message,
        progress: &Progress,
    ) -> anyhow::Result<Delivery> {
        let mut retry = Retry::new(self.stop.clone());

        loop {
            let Err(error) = publish_once(&self.jetstream, message).await else {
                self.tally.acknowledged += 1;
                return Ok(Delivery::Done);
            };
            let why = reason(&error, message);
            if retry.is_first() {
                progress.note(&format!("{why}; trying again"));
            }
            if !retry.pause().await {
                if self.stop.is_cancelled() {
                    return Ok(Delivery::Stopped);
                }
                anyhow::bail!("{why} (gave up after {} seconds)", PATIENCE.as_secs());
            }
        }
    }
}

fn reason(error: &PublishError, message: &Message) -> String {
    match error.kind() {
        PublishErrorKind::StreamNotFound => format!(
            "no stream takes {}: `tiris-ingest run` makes the streams, is it up?",
            message.subject
        ),
        PublishErrorKind::TimedOut => "NATS did not acknowledge an event in time".to_owned(),
        _ => format!("NATS did not take an event: {error}"),
    }
}

async fn publish_once(
    jetstream: &jetstream::Context,
    message: &Message,
) -> Result<(), PublishError> {
    jetstream
        .publish(message.subject.clone(), message.payload.clone())
        .await?
        .await?;
    Ok(())
}

/// Whether an event may not overtake or be overtaken by others of its sort.
pub(super) const fn keeps_order(kind: Kind) -> bool {
    match kind {
        Kind::OrderCreated | Kind::OrderFilled | Kind::OrderCancelled | Kind::OrderFailed => true,
        Kind::BalanceUpdated | Kind::BalanceLocked | Kind::BalanceUnlocked => true,
        Kind::Error | Kind::Signal | Kind::Heartbeat => false,
    }
}

/// Pauses that grow, until patience ends.
struct Retry {
    stop: CancellationToken,
    next: Duration,
    deadline: Instant,
}

impl Retry {
    fn new(stop: CancellationToken) -> Self {
        Self {
            stop,
            next: BACKOFF_MIN,
            deadline: Instant::now() + PATIENCE,
        }
    }

    fn is_first(&self) -> bool {
        self.next == BACKOFF_MIN
    }

    /// Waits; `false` when there is no point in trying again.
    async fn pause(&mut self) -> bool {
        if Instant::now() >= self.deadline {
            return false;
        }
        let pause = tokio::time::sleep(self.next);
        self.next = (self.next * 2).min(BACKOFF_MAX);
        self.stop.run_until_cancelled(pause).await.is_some()
    }
}

/// Holds a steady rate; a delay is made up for by at most one second's worth of events.
#[derive(Debug)]
pub(super) struct Pace {
    interval: Duration,
    next: Instant,
}

impl Pace {
    /// `events_per_second` events a second.
    pub(super) fn new(events_per_second: u32) -> Self {
        Self {
            interval: Duration::from_secs(1) / events_per_second.max(1),
            next: Instant::now(),
        }
    }

    /// Waits until the next event is due, or until `stop`.
    pub(super) async fn wait(&mut self, stop: &CancellationToken) {
        const CATCH_UP: Duration = Duration::from_secs(1);
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

    #[tokio::test(start_paused = true)]
    async fn a_pace_of_five_a_second_takes_two_seconds_for_ten_events() {
        let start = Instant::now();
        let stop = CancellationToken::new();
        let mut pace = Pace::new(5);
        for _ in 0..11 {
            pace.wait(&stop).await;
        }
        let taken = start.elapsed();
        assert!(
            taken >= Duration::from_secs(2) && taken < Duration::from_millis(2_100),
            "{taken:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_ends_the_waiting_at_once() {
        let start = Instant::now();
        let stop = CancellationToken::new();
        stop.cancel();
        let mut pace = Pace::new(1);
        for _ in 0..100 {
            pace.wait(&stop).await;
        }
        assert!(
            start.elapsed() < Duration::from_secs(1),
            "{:?}",
            start.elapsed()
        );
    }
}
