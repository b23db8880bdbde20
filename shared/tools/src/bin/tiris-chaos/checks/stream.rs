//! Reads both streams back: the input of the auditor.

use anyhow::{Context as _, Result};
use async_nats::jetstream::response::Response;
use async_nats::jetstream::stream::{RawMessage, Stream};
use async_nats::jetstream::{self, Context, consumer::pull::OrderedConfig};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::{StreamExt, TryStreamExt};
use serde_json::json;
use std::time::Duration;

/// The name of each stream and the index of the lane in its subjects.
const STREAMS: [(&str, usize); 2] = [("TRADING", 3), ("TRADING_SYSTEM", 2)];
/// The longest wait for the next message before the end of a stream.
const NEXT_LIMIT: Duration = Duration::from_secs(30);
/// Requests for single messages in flight.
const GETS: usize = 64;

/// A stored message.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) stream: &'static str,
    pub(crate) seq: u64,
    /// From the subject; none for bare subjects.
    pub(crate) lane: Option<i32>,
    /// As published, without the lane.
    pub(crate) subject: String,
    pub(crate) payload: Vec<u8>,
}

/// Returns the messages of both streams, each in its order. With `has_unreadable` it reads one by one, because no client can
/// receive some of them.
pub(crate) async fn read_all(nats_url: &str, has_unreadable: bool) -> Result<Vec<Stored>> {
    let context = jetstream::new(async_nats::connect(nats_url).await?);
    let mut all = Vec::new();
    for (name, lane_at) in STREAMS {
        let stream = context.get_stream(name).await?;
        let last = stream.cached_info().state.last_sequence;
        if last == 0 {
            continue;
        }
        let place = Place {
            name,
            lane_at,
            last,
        };
        if has_unreadable {
            place.read_one_by_one(&context, &mut all).await?;
        } else {
            place.read(&stream, &mut all).await?;
        }
    }

    Ok(all)
}

/// A stream to read.
#[derive(Clone, Copy)]
struct Place {
    name: &'static str,
    lane_at: usize,
    last: u64,
}

impl Place {
    fn stored(self, seq: u64, subject: &str, payload: Vec<u8>) -> Stored {
        let (subject, lane) = without_lane(subject, self.lane_at);
        Stored {
            stream: self.name,
            seq,
            lane,
            subject,
            payload,
        }
    }

    async fn read(self, stream: &Stream, all: &mut Vec<Stored>) -> Result<()> {
        let name = self.name;
        let consumer = stream.create_consumer(OrderedConfig::default()).await?;
        let mut messages = consumer.messages().await?;
        loop {
            let next = tokio::time::timeout(NEXT_LIMIT, messages.next()).await;
            let message = next
                .with_context(|| format!("no further message of {name}"))?
                .with_context(|| format!("{name} ended early"))??;
            let info = message.info().map_err(anyhow::Error::from_boxed)?;
            let seq = info.stream_sequence;
            all.push(self.stored(seq, &message.subject, message.payload.to_vec()));
            if seq >= self.last {
                return Ok(());
            }
        }
    }

    /// The API returns messages as JSON, so that nothing of them reaches the client's parser.
    async fn read_one_by_one(self, context: &Context, all: &mut Vec<Stored>) -> Result<()> {
        let get = |seq| async move {
            let subject = format!("STREAM.MSG.GET.{}", self.name);
            let response = context.request(subject, &json!({ "seq": seq })).await?;
            match response {
                Response::Ok(GetAnswer { message }) => {
                    let payload = STANDARD.decode(&message.payload)?;
                    Ok(self.stored(seq, &message.subject, payload))
                }
                Response::Err { error } => Err(anyhow::Error::from(error)),
            }
        };
        let gets = futures_util::stream::iter(1..=self.last).map(get);
        let read: Vec<Stored> = gets.buffered(GETS).try_collect().await?;
        all.extend(read);
        Ok(())
    }
}

#[derive(serde::Deserialize)]
struct GetAnswer {
    message: RawMessage,
}

/// Returns the subject as published and the lane that the stream put into it.
fn without_lane(subject: &str, at: usize) -> (String, Option<i32>) {
    let mut parts: Vec<&str> = subject.split('.').collect();
    if parts.len() < at + 2 {
        return (subject.to_owned(), None);
    }
    let lane = parts.remove(at).parse().ok();
    (parts.join("."), lane)
}
