//! Reads messages of a stream in order from a given position.
//!
//! Owns the consumer, its pulls, and the detection of deliveries that may be missing. When in doubt the reader fails, and the
//! caller opens a new one at its cursor.

use super::message::{Headers, Message, nanoseconds};
use super::subjects;
use super::unavailable;
use crate::connection::Connection;
use async_nats::jetstream::consumer::{AckPolicy, Consumer, DeliverPolicy, pull};
use async_nats::jetstream::stream::Stream;
use async_nats::{HeaderMap, HeaderValue};
use futures_util::{FutureExt, StreamExt, TryStreamExt};
use std::time::Duration;
use tiris_domain::lane::{EventStream, LaneKey};
use tiris_store::error::{Error, Result};
use tokio::task::unconstrained;
use uuid::Uuid;

/// The server removes a consumer without a reader after this time.
const INACTIVE_THRESHOLD: Duration = Duration::from_secs(30);
/// A pull request that was lost is sent again after this time.
const PULL_EXPIRES: Duration = Duration::from_secs(6);
/// How often the server confirms that a waiting pull request is alive.
const PULL_HEARTBEAT: Duration = Duration::from_secs(2);
/// Messages and bytes of one pull request, which bound what a lane holds in memory besides its batch, and what other lanes wait
/// for on the common connection. The bytes are many times the longest message, because one that exceeds the rest of them would
/// stop the lane without an error.
const PULL_MESSAGES: usize = 500;
const PULL_BYTES: usize = 1024 * 1024;

/// Reads a range of a stream in order.
pub struct Reader {
    messages: pull::Stream,
    consumer: Consumer<pull::Config>,
    /// Consumer sequence of the last received message.
    received: u64,
    /// Consumer sequence of the last delivery at the last idle check.
    delivered: u64,
    /// Messages in the range behind the last received one; None before the first.
    behind: Option<u64>,
    /// Disconnects of the client when this reader was opened.
    disconnects: u64,
}

/// The messages that a reader reads, and the name of its consumer.
#[derive(Clone, Debug)]
pub struct Range {
    stream: EventStream,
    consumer: String,
    /// Name prefix of earlier consumers, which are removed.
    replaced: Option<String>,
    start: u64,
    subjects: Vec<String>,
}

impl Range {
    /// Returns the range of a lane behind `cursor`. The consumer's name contains lane, epoch and `nonce`, so that two owners
    /// never share a consumer.
    #[must_use]
    pub fn of_lane(key: LaneKey, lanes: u16, epoch: i64, nonce: u32, cursor: u64) -> Self {
        Self {
            stream: key.stream,
            consumer: format!("lane-{}-{epoch}-{nonce:08x}", key.lane),
            replaced: Some(format!("lane-{}-", key.lane)),
            start: cursor + 1,
            subjects: subjects::of_lane(key, lanes),
        }
    }

    /// Returns the range from `start` on for the replay `job`; with `user` only messages of that user and those whose subject
    /// names none.
    #[must_use]
    pub fn of_replay(
        stream: EventStream,
        job: Uuid,
        nonce: u32,
        start: u64,
        user: Option<Uuid>,
    ) -> Self {
        let subjects = user.map(|user| subjects::of_user(stream, user));

        Self {
            stream,
            consumer: format!("replay-{job}-{nonce:08x}"),
            // Another worker may run the same job for a moment; the server removes its consumer.
            replaced: None,
            start,
            subjects: subjects.unwrap_or_default(),
        }
    }
}

/// Limits of a batch; the message that reaches one is its last.
#[derive(Clone, Copy, Debug)]
pub struct BatchLimits {
    /// Number of messages.
    pub events: usize,
    /// Bytes of subjects, headers and payloads.
    pub bytes: usize,
}

impl Reader {
    /// Opens a consumer for `range`, and tries to remove those it replaces.
    pub async fn open(connection: &Connection, range: Range) -> Result<Self> {
        let disconnects = connection.disconnects();
        let name = range.stream.name();
        let stream = connection.jetstream.get_stream_no_info(name).await;
        let stream = stream.map_err(unavailable)?;
        if let Some(prefix) = &range.replaced {
            remove_consumers(&stream, prefix).await?;
        }

        let config = pull::Config {
            name: Some(range.consumer),
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
        let consumer = stream.create_consumer_strict(config).await;
        let consumer = consumer.map_err(unavailable)?;
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
            delivered: 0,
            behind: None,
            disconnects,
        })
    }

    /// Waits up to `wait` for a message and returns all that have arrived, within `limits`; empty when none arrived.
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

    /// Returns all messages that have arrived, within `limits`, without waiting: even the shortest timeout takes a millisecond.
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
            if batch.len() >= limits.events || bytes >= limits.bytes {
                break;
            }
            // Unconstrained, because the runtime's budget would hide arrived messages after the first 128.
            next = unconstrained(self.next()).now_or_never();
        }

        Ok(batch)
    }

    /// Waits for the next message. Cancel safe: no message is lost when the future is dropped.
    pub async fn next(&mut self) -> Result<Message> {
        match self.messages.next().await {
            Some(message) => self.accept(&message.map_err(unavailable)?),
            None => Err(doubt("ended", "the consumer ended")),
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

        self.received = got;
        self.behind = Some(info.pending);
        Ok(Message {
            subject: delivery.subject.to_string(),
            payload: delivery.payload.clone(),
            headers: delivery
                .headers
                .as_ref()
                .map_or_else(Headers::new, read_headers),
            stream_seq: info.stream_sequence,
            broker_time: nanoseconds(info.published),
        })
    }

    /// Fails when the connection was lost since the reader was opened.
    fn check_connection(&self, connection: &Connection) -> Result<()> {
        if connection.disconnects() == self.disconnects {
            Ok(())
        } else {
            Err(doubt("connection", "the connection was lost"))
        }
    }

    /// Checks that deliveries arrive: those made before one call must have arrived by the next. Call it periodically while no
    /// message arrives. Returns how many messages of the range the server has not delivered yet.
    pub async fn check_idle(&mut self, connection: &Connection) -> Result<u64> {
        self.check_connection(connection)?;
        if !self.is_complete() {
            let delivered = self.delivered;
            let received = self.received;
            let why = format!("the server delivered {delivered} messages, {received} arrived");
            return Err(doubt("swallowed", why));
        }
        let info = self.consumer.get_info().await.map_err(unavailable)?;
        self.delivered = info.delivered.consumer_sequence;
        if self.is_complete() {
            self.behind = Some(info.num_pending);
        }
        Ok(info.num_pending)
    }

    /// Returns how many messages of the range the stream holds behind the last received one; None before the first.
    #[must_use]
    pub const fn behind(&self) -> Option<u64> {
        self.behind
    }

    /// Returns whether all deliveries up to the last idle check have arrived.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.received >= self.delivered
    }
}

async fn remove_consumers(stream: &Stream<()>, prefix: &str) -> Result<()> {
    let names: Vec<String> = stream
        .consumer_names()
        .try_collect()
        .await
        .map_err(unavailable)?;
    for name in names.iter().filter(|name| name.starts_with(prefix)) {
        if let Err(error) = stream.delete_consumer(name).await {
            tracing::debug!(consumer = %name, error = %error, "could not remove an old consumer");
        }
    }
    Ok(())
}

fn read_headers(headers: &HeaderMap) -> Headers {
    let texts = |values: &[HeaderValue]| values.iter().map(|v| v.as_str().to_owned()).collect();
    let headers = headers.iter();
    headers
        .map(|(name, values)| (name.to_string(), texts(values)))
        .collect()
}

/// Returns the error for a delivery that may be missing, and counts it under `kind`.
fn doubt(kind: &'static str, why: impl Into<String>) -> Error {
    metrics::counter!("ingest_reader_doubts_total", "kind" => kind).increment(1);
    Error::Unavailable {
        what: "the lane's consumer",
        source: why.into().into(),
    }
}
