//! What the streams hold: the truth the auditor is told.
//!
//! Owns: reading both streams back, with a client of its own. Must not know: what messages say.

use anyhow::{Context, Result};
use async_nats::jetstream::{self, consumer::DeliverPolicy, consumer::pull::OrderedConfig};
use futures_util::StreamExt;
use std::time::Duration;

/// Name of each stream, and where its subjects have the lane.
const STREAMS: [(&str, usize); 2] = [("TRADING", 3), ("TRADING_SYSTEM", 2)];
/// Between two messages of a stream that is not at its end.
const NEXT_LIMIT: Duration = Duration::from_secs(30);

/// A message as stored.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) stream: &'static str,
    pub(crate) seq: u64,
    /// As the subject tells; none for bare subjects.
    pub(crate) lane: Option<i32>,
    /// As published, without the lane.
    pub(crate) subject: String,
    pub(crate) payload: Vec<u8>,
}

/// Both streams from their beginning to their end, each in its order.
pub(crate) async fn read_all(nats_url: &str) -> Result<Vec<Stored>> {
    let context = jetstream::new(async_nats::connect(nats_url).await?);
    let mut all = Vec::new();
    for (name, lane_at) in STREAMS {
        let stream = context.get_stream(name).await?;
        let last = stream.cached_info().state.last_sequence;
        if last == 0 {
            continue;
        }
        let config = OrderedConfig {
            deliver_policy: DeliverPolicy::All,
            ..OrderedConfig::default()
        };
        let mut messages = stream.create_consumer(config).await?.messages().await?;
        loop {
            let next = tokio::time::timeout(NEXT_LIMIT, messages.next()).await;
            let message = next
                .context("the stream cannot be read back")?
                .context("it ended early")??;
            let seq = message
                .info()
                .map_err(|error| anyhow::anyhow!("no sequence: {error}"))?
                .stream_sequence;
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

/// The subject as published, and the lane the stream put into it.
fn without_lane(subject: &str, at: usize) -> (String, Option<i32>) {
    let mut parts: Vec<&str> = subject.split('.').collect();
    if parts.len() < at + 2 {
        return (subject.to_owned(), None);
    }
    let lane = parts.remove(at).parse().ok();
    (parts.join("."), lane)
}
