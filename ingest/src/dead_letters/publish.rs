//! The stream `TRADING_DLQ`: a copy of every dead letter, for operators and tools that watch NATS.
//!
//! Declares the stream, and publishes the dead letters of this worker's lanes at least once. The database holds the truth.

use crate::context::Context;
use crate::settings::StreamLimits;
use crate::stream::{self, unavailable};
use async_nats::HeaderMap;
use async_nats::jetstream::context::{PublishAckFuture, PublishErrorKind};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream::{Config, DiscardPolicy, StorageType};
use std::convert::Infallible;
use std::time::Duration;
use tiris_domain::lane::LaneKey;
use tiris_store::dead_letters::{self, Letter};
use tiris_store::error::Result;
use uuid::Uuid;

/// Name of the stream.
pub const NAME: &str = "TRADING_DLQ";
/// Prefix of the subjects; the subject of the original message follows.
const PREFIX: &str = "dlq";
/// Longer payloads are left out of the copy, so that it fits wherever an event fits.
const PAYLOAD_BYTES_MAX: usize = 64 * 1024;
/// Retention of the copies; dead letters in the database are kept for longer.
const MAX_AGE: Duration = Duration::from_hours(30 * 24);
/// A dead letter published again within this window is stored once.
const DUPLICATE_WINDOW: Duration = Duration::from_secs(120);
/// Longest reason in a header, in bytes.
const REASON_BYTES_MAX: usize = 1024;
/// Dead letters published before their acknowledgements are awaited. Lanes share the connection, and even the longest of these
/// are sent within milliseconds.
const AT_ONCE: u32 = 50;
/// How often the worker looks for dead letters, and how long it waits after a failure.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);
const FAILURE_WAIT: Duration = Duration::from_secs(5);

/// Publishes periodically.
pub(crate) async fn run(context: Context) {
    let mut has_failed = false;
    let mut is_declared = false;

    loop {
        let Err(error) = declare_and_publish(&context, &mut is_declared, &mut has_failed).await;
        // Logged once, however long the failure lasts.
        if !std::mem::replace(&mut has_failed, true) {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "could not publish dead letters, retrying");
        }
        tokio::time::sleep(FAILURE_WAIT).await;
    }
}

async fn declare_and_publish(
    context: &Context,
    is_declared: &mut bool,
    has_failed: &mut bool,
) -> Result<Infallible> {
    declare(context, !*is_declared).await?;
    *is_declared = true;

    loop {
        let published = publish_some(context).await?;
        *has_failed = false;
        if u32::try_from(published) != Ok(AT_ONCE) {
            tokio::time::sleep(CHECK_INTERVAL).await;
        }
    }
}

/// Returns the configuration of the stream by the settings. Its budget of bytes leaves the broker's store to the events; the
/// oldest copies make room for new ones.
#[must_use]
pub fn config(limits: &StreamLimits) -> Config {
    Config {
        name: NAME.to_owned(),
        description: Some("Copies of dead letters; the originals are in the database".to_owned()),
        subjects: vec![format!("{PREFIX}.trading.>")],
        storage: StorageType::File,
        discard: DiscardPolicy::Old,
        max_age: MAX_AGE,
        max_bytes: limits.dead_letter_bytes,
        duplicate_window: DUPLICATE_WINDOW,
        num_replicas: limits.replicas,
        ..Config::default()
    }
}

/// Creates the stream when it is missing. At the start of the worker it also applies the limits of the settings to an existing
/// stream; they delete only copies.
async fn declare(context: &Context, is_start: bool) -> Result<()> {
    let config = config(&context.stream_limits);
    let jetstream = &context.connection.jetstream;
    let declared = jetstream.get_or_create_stream(config.clone()).await;
    let declared = declared.map_err(unavailable)?;
    if !is_start {
        return Ok(());
    }

    stream::apply(jetstream, &declared.cached_info().config, &config, None).await
}

/// Publishes dead letters of this worker's lanes, and marks those that the broker acknowledged. Returns how many.
pub async fn publish_some(context: &Context) -> Result<usize> {
    let lanes: Vec<LaneKey> = context.board.lines().into_keys().collect();
    let mut connection = context.pool.acquire().await?;
    let letters = dead_letters::unpublished(&mut connection, &lanes, AT_ONCE).await?;
    // Released while the broker is awaited.
    drop(connection);

    let mut acknowledged = Vec::new();
    let mut failure = None;
    let mut under_way: Vec<(Uuid, PublishAckFuture)> = Vec::with_capacity(letters.len());
    for letter in &letters {
        match send(context, letter).await {
            Ok(Some(acknowledgement)) => under_way.push((letter.id, acknowledgement)),
            // It cannot be published, and must not hold up the others.
            Ok(None) => acknowledged.push(letter.id),
            // The acknowledgements of those sent are still awaited.
            Err(error) => {
                failure = Some(error);
                break;
            }
        }
    }
    for (id, acknowledgement) in under_way {
        match acknowledgement.await {
            Ok(_) => acknowledged.push(id),
            Err(error) => failure = Some(unavailable(error)),
        }
    }
    if !acknowledged.is_empty() {
        let mut connection = context.pool.acquire().await?;
        dead_letters::mark_published(&mut connection, &acknowledged).await?;
    }
    failure.map_or(Ok(acknowledged.len()), Err)
}

/// Sends a copy, without its payload when that is too long for the broker. Returns None when even that is too long.
async fn send(context: &Context, letter: &Letter) -> Result<Option<PublishAckFuture>> {
    let jetstream = &context.connection.jetstream;
    for payload_max in [PAYLOAD_BYTES_MAX, 0] {
        let subject = format!("{PREFIX}.{}", letter.subject);
        let message = message(letter, payload_max);
        match jetstream.send_publish(subject, message).await {
            Ok(acknowledgement) => return Ok(Some(acknowledgement)),
            Err(error) if error.kind() == PublishErrorKind::MaxPayloadExceeded => {
                let bytes = letter.payload.len();
                tracing::warn!(dead_letter = %letter.id, bytes, "the copy of a dead letter is too long for the broker");
            }
            Err(error) => return Err(unavailable(error)),
        }
    }

    Ok(None)
}

fn message(letter: &Letter, payload_max: usize) -> PublishMessage {
    let mut headers = HeaderMap::new();
    let mut add = |name: &str, value: &str| headers.insert(name, one_line(value).as_str());
    add("Tiris-Letter-Id", &letter.id.to_string());
    add("Tiris-Class", letter.class.as_str());
    add("Tiris-Code", &letter.code);
    add("Tiris-Reason", &letter.reason);
    add("Tiris-Stream", letter.key.stream.name());
    add("Tiris-Sequence", &letter.stream_seq.to_string());
    if let Some(event_id) = &letter.event_id {
        add("Tiris-Event-Id", event_id);
    }
    let mut payload = letter.payload.clone();
    if payload.len() > payload_max {
        let omitted = format!("{} bytes", payload.len());
        add("Tiris-Payload-Omitted", &omitted);
        payload.clear();
    }

    PublishMessage::build()
        .payload(payload.into())
        .headers(headers)
        .message_id(letter.id.to_string())
}

/// Makes a header value: one line, limited in length.
fn one_line(text: &str) -> String {
    let line: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let end = line.floor_char_boundary(REASON_BYTES_MAX);
    line[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_one_short_line() {
        assert_eq!(one_line("a\r\nb"), "a  b");
        assert_eq!(one_line(&"ä".repeat(1_000)).len(), REASON_BYTES_MAX);
    }
}
