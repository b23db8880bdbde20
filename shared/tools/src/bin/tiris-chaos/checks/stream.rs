//! Reads both streams back: the input of the auditor.

use anyhow::{Context, Result};
use async_nats::jetstream::{self, consumer::pull::OrderedConfig};
use futures_util::StreamExt;
use std::time::Duration;

/// The name of each stream and the index of the lane in its subjects.
const STREAMS: [(&str, usize); 2] = [("TRADING", 3), ("TRADING_SYSTEM", 2)];
/// The longest wait for the next message before the end of a stream.
const NEXT_LIMIT: Duration = Duration::from_secs(30);

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

/// Returns the messages of both streams, each in its order.
pub(crate) async fn read_all(nats_url: &str) -> Result<Vec<Stored>> {
    let context = jetstream::new(async_nats::connect(nats_url).await?);
    let mut all = Vec::new();
    for (name, lane_at) in STREAMS {
        let stream = context.get_stream(name).await?;
        let last = stream.cached_info().state.last_sequence;
        if last == 0 {
            continue;
        }
        let consumer = stream.create_consumer(OrderedConfig::default()).await?;
        let mut messages = consumer.messages().await?;
        loop {
            let next = tokio::time::timeout(NEXT_LIMIT, messages.next()).await;
            let message = next
                .with_context(|| format!("no further message of {name}"))?
                .with_context(|| format!("{name} ended early"))??;
            let info = message.info().map_err(anyhow::Error::from_boxed)?;
            let seq = info.stream_sequence;
            let (subject, lane) = without_lane(&message.subject, lane_at);
            all.push(Stored {
                stream: name,
                seq,
                lane,
                subject,
                payload: message.payload.to_vec(),
            });
            if seq >= last {
                break;
            }
        }
    }

    Ok(all)
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
