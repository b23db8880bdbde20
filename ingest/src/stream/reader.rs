//! Reads one lane of a stream, in order, from a given position.
//!
//! Owns: the consumer, its pulls, and every way to notice that a delivery may be missing. On any doubt it fails, and the
//! caller opens a new reader at the cursor.

use super::message::{Headers, Message, nanoseconds};
use super::subjects;
use super::unavailable::unavailable;
use crate::connection::Connection;
use async_nats::jetstream::consumer::{AckPolicy, Consumer, DeliverPolicy, pull};
use futures_util::{FutureExt, StreamExt, TryStreamExt};
use std::time::Duration;
use tiris_domain::lane::{EventStream, LaneKey};
use tiris_store::error::{Error, Result};
use tokio::task::unconstrained;
use uuid::Uuid;

/// The server removes a consumer that is not read any more after this time.
const INACTIVE_THRESHOLD: Duration = Duration::from_secs(30);
/// A pull lost on the way is sent again after this time.
const PULL_EXPIRES: Duration = Duration::from_secs(6);
/// The server confirms in this rhythm that a waiting pull is alive.
const PULL_HEARTBEAT: Duration = Duration::from_secs(2);
/// Messages and bytes one pull asks for, a bound of what a lane holds in memory besides the batch. A message that is
/// longer than what is left of the bytes would stop the lane without any error, so they are many times the longest.
const PULL_MESSAGES: usize = 500;
const PULL_BYTES: usize = 4 * 1024 * 1024;
/// Reads a lane from one position on.
pub struct Reader {
    messages: pull::Stream,
    consumer: Consumer<pull::Config>,
    /// Consumer sequence of the last message received.
    received: u64,
    /// What the server had delivered at the last idle check.
    under_way: u64,
    /// Messages of the lane the stream holds behind the last one received; none before the first.
    behind: Option<u64>,
    /// Disconnects of the client when this reader was opened.
    disconnects: u64,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader")
            .field("received", &self.received)
            .finish_non_exhaustive()
    }
}

/// What a reader reads, and the name of its consumer.
#[derive(Clone, Debug)]
pub struct Range {
    stream: EventStream,
    /// Name of the consumer.
    name: String,
    /// Consumers whose names begin so are of no use any more.
    replaced: Option<String>,
    start: u64,
    subjects: Vec<String>,
}

impl Range {
    /// A lane behind `cursor`. The name carries lane, epoch and `nonce`, so that no two owners ever share a consumer.
    #[must_use]
    pub fn of_lane(key: LaneKey, lanes: u16, epoch: i64, nonce: u32, cursor: u64) -> Self {
        Self {
            stream: key.stream,
            name: format!("lane-{}-{epoch}-{nonce:08x}", key.lane),
            replaced: Some(format!("lane-{}-", key.lane)),
            start: cursor + 1,
            subjects: subjects::of_lane(key, lanes),
        }
    }

    /// Part of a stream from `start` on, for the replay `job`; with `user` only that user's messages and those whose
    /// subject names none.
    #[must_use]
    pub fn of_replay(
        stream: EventStream,
        job: Uuid,
        nonce: u32,
        start: u64,
        user: Option<Uuid>,
    ) -> Self {
        let subjects = user
            .map(|user| subjects::of_user(stream, user))
            .unwrap_or_default();

        // Another worker may be at the same job for a moment, so nothing is removed; the server does that by itself.
        Self {
            stream,
            name: format!("replay-{job}-{nonce:08x}"),
            replaced: None,
            start,
            subjects,
        }
    }
}

/// How much is read at once.
#[derive(Clone, Copy, Debug)]
pub struct BatchLimits {
    /// In events.
    pub events: usize,
    /// In bytes of payload and headers.
    pub bytes: usize,
}

impl Reader {
    /// Opens a consumer of its own. Those it replaces are removed, as far as they let themselves be.
    pub async fn open(connection: &Connection, range: Range) -> Result<Self> {
        let disconnects = connection.disconnects();
        let stream = connection
            .jetstream
            .get_stream_no_info(range.stream.name())
            .await
            .map_err(unavailable)?;

        if let Some(prefix) = &range.replaced {
            let others: Vec<String> = stream
                .consumer_names()
                .try_collect()
                .await
                .map_err(unavailable)?;
            for other in others.iter().filter(|name| name.starts_with(prefix)) {
                if let Err(error) = stream.delete_consumer(other).await {
                    tracing::debug!(consumer = %other, error = %error, "could not remove an old consumer");
                }
            }
        }
        let config = pull::Config {
            name: Some(range.name),
            deliver_policy: DeliverPolicy::ByStartSequence {
                start_sequence: range.start,
            },
            ack_policy: AckPolicy::None,
            filter_subjects: range.subjects,
            memory_storage: true,
            num_replicas: 1,
            inactive_threshold: INACTIVE_THRESHOLD,
            ..pull::Config::default()
        };
        let consumer = stream
            .create_consumer_strict(config)
            .await
            .map_err(unavailable)?;
        let messages = consumer
            .stream()
            .max_messages_per_batch(PULL_MESSAGES)
            .max_bytes_per_batch(PULL_BYTES)
            .expires(PULL_EXPIRES)
            .heartbeat(PULL_HEARTBEAT)
            .messages()
            .await
            .map_err(unavailable)?;

        Ok(Self {
            messages,
            consumer,
            received: 0,
            under_way: 0,
            behind: None,
            disconnects,
        })
    }

    /// Waits up to `wait` for a message and takes all that is there, within `limits`; empty when nothing came.
    pub async fn next_batch(
        &mut self,
        connection: &Connection,
        limits: BatchLimits,
        wait: Duration,
    ) -> Result<Vec<Message>> {
        self.check_connection(connection)?;
        match tokio::time::timeout(wait, self.next()).await {
            Ok(first) => self.batch_from(first, limits),
            Err(_) => Ok(Vec::new()),
        }
    }

    /// Takes all that is there, within `limits`, and waits for nothing: even the shortest time-out lasts a millisecond.
    pub fn ready_batch(
        &mut self,
        connection: &Connection,
        limits: BatchLimits,
    ) -> Result<Vec<Message>> {
        self.check_connection(connection)?;
        match unconstrained(self.next()).now_or_never() {
            Some(first) => self.batch_from(first, limits),
            None => Ok(Vec::new()),
        }
    }

    fn batch_from(&mut self, first: Result<Message>, limits: BatchLimits) -> Result<Vec<Message>> {
        let mut batch = Vec::new();
        let mut bytes = 0;
        let mut next = Some(first);

        while let Some(received) = next {
            let message = received?;
            bytes += message.bytes();
            batch.push(message);
            let full = batch.len() >= limits.events || bytes >= limits.bytes;
            // Unconstrained: the runtime would call what is there not there after 128 messages.
            next = if full {
                None
            } else {
                unconstrained(self.next()).now_or_never()
            };
        }

        Ok(batch)
    }

    /// The next message, whenever it comes. Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Result<Message> {
        match self.messages.next().await {
            Some(message) => self.accept(&message.map_err(unavailable)?),
            None => Err(doubt("ended", "the stream of messages ended")),
        }
    }

    fn accept(&mut self, delivery: &async_nats::jetstream::Message) -> Result<Message> {
        let info = delivery
            .info()
            .map_err(|error| doubt("unreadable", error.to_string()))?;
        let expected = self.received + 1;
        let got = info.consumer_sequence;
        if got != expected {
            let why = format!("expected delivery {expected}, got {got}");
            return Err(doubt("hole", why));
        }

        self.received = info.consumer_sequence;
        self.behind = Some(info.pending);
        Ok(Message {
            subject: delivery.subject.to_string(),
            payload: delivery.payload.clone(),
            headers: delivery
                .headers
                .as_ref()
                .map(read_headers)
                .unwrap_or_default(),
            stream_seq: info.stream_sequence,
            broker_time: nanoseconds(info.published),
        })
    }

    /// Fails when the connection was lost since the reader was opened.
    pub fn check_connection(&self, connection: &Connection) -> Result<()> {
        if connection.disconnects() == self.disconnects {
            Ok(())
        } else {
            Err(doubt("connection", "the connection was lost"))
        }
    }

    /// Whether everything the server delivered arrives; to be asked now and then while nothing comes. What was under
    /// way at one call must have arrived by the next. Answers how many messages the server still has for this lane.
    pub async fn check_idle(&mut self, connection: &Connection) -> Result<u64> {
        self.check_connection(connection)?;
        if self.received < self.under_way {
            let why = format!(
                "the server delivered {}, {} arrived",
                self.under_way, self.received
            );
            return Err(doubt("swallowed", why));
        }
        let info = self.consumer.get_info().await.map_err(unavailable)?;
        self.under_way = info.delivered.consumer_sequence;
        if self.is_complete() {
            self.behind = Some(info.num_pending);
        }
        Ok(info.num_pending)
    }

    /// Messages of the lane the stream holds behind the last one received; none before the first.
    #[must_use]
    pub const fn behind(&self) -> Option<u64> {
        self.behind
    }

    /// Whether all that was under way at the last idle check has arrived.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.received >= self.under_way
    }
}

fn read_headers(headers: &async_nats::HeaderMap) -> Headers {
    let texts =
        |values: &[async_nats::HeaderValue]| values.iter().map(|v| v.as_str().to_owned()).collect();
    headers
        .iter()
        .map(|(name, values)| (name.to_string(), texts(values)))
        .collect()
}

/// A delivery may be missing; `kind` for the metric.
fn doubt(kind: &'static str, why: impl Into<String>) -> Error {
    metrics::counter!("ingest_reader_doubts_total", "kind" => kind).increment(1);
    Error::Unavailable {
        what: "the lane's consumer",
        source: why.into().into(),
    }
}
