//! The stream `TRADING_DLQ`: a copy of every dead letter, for people and tools that look at NATS.
//!
//! Owns: its declaration, the messages, and publishing at least once what the lanes of this worker put aside. Must not
//! know: why something is a letter, what becomes of it; the truth is in the database.

use crate::context::Context;
use crate::stream::unavailable;
use async_nats::HeaderMap;
use async_nats::jetstream::context::{PublishAckFuture, PublishErrorKind};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream::{Config, StorageType};
use std::time::Duration;
use tiris_domain::lane::LaneKey;
use tiris_store::dead_letters::{self, Letter};
use tiris_store::error::Result;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Its name in JetStream.
pub const NAME: &str = "TRADING_DLQ";
/// A letter's subject is this followed by the subject of its message.
const PREFIX: &str = "dlq";
/// A longer payload is left out of the copy, so that it fits wherever an event fits.
const PAYLOAD_BYTES_MAX: usize = 64 * 1024;
/// Copies are kept this long; the letters themselves are kept for ever.
const MAX_AGE: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// The same letter published twice within this window is kept once.
const DUPLICATE_WINDOW: Duration = Duration::from_secs(120);
/// Longest reason in a header, in bytes.
const REASON_BYTES_MAX: usize = 1024;
/// Letters published before their acknowledgements are awaited.
const AT_ONCE: u32 = 200;
/// How often it is looked whether there are letters, and how long trouble is waited out.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
const TROUBLE_WAIT: Duration = Duration::from_secs(5);

/// Publishes until `stop`. Trouble is waited out: nothing waits for this.
pub async fn run(context: Context, stop: CancellationToken) {
    let mut is_declared = false;
    let mut is_in_trouble = false;

    loop {
        let round = tokio::select! {
            () = stop.cancelled() => return,
            round = round(&context, &mut is_declared) => round,
        };
        let wait = match round {
            Ok(published) => {
                is_in_trouble = false;
                if u32::try_from(published) == Ok(AT_ONCE) {
                    Duration::ZERO
                } else {
                    LOOK_INTERVAL
                }
            }
            Err(error) => {
                // Once, however long it lasts.
                if !std::mem::replace(&mut is_in_trouble, true) {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "dead letters wait to be published"
                    );
                }
                is_declared = false;
                TROUBLE_WAIT
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
    }
}

async fn round(context: &Context, is_declared: &mut bool) -> Result<usize> {
    if !*is_declared {
        declare(context).await?;
        *is_declared = true;
    }
    publish_some(context).await
}

/// Makes the stream when it is missing; one that is there stays as it is.
async fn declare(context: &Context) -> Result<()> {
    let config = Config {
        name: NAME.to_owned(),
        description: Some("Copies of dead letters; the letters are in the database".to_owned()),
        subjects: vec![format!("{PREFIX}.trading.>")],
        storage: StorageType::File,
        max_age: MAX_AGE,
        duplicate_window: DUPLICATE_WINDOW,
        num_replicas: context.stream_replicas,
        ..Config::default()
    };
    context
        .connection
        .jetstream
        .get_or_create_stream(config)
        .await
        .map_err(unavailable)?;

    Ok(())
}

/// Publishes letters of the lanes this worker holds and marks those the broker acknowledged. Returns how many.
pub async fn publish_some(context: &Context) -> Result<usize> {
    let lanes: Vec<LaneKey> = context.board.lines().into_keys().collect();
    let mut connection = context.pool.acquire().await?;
    let letters = dead_letters::unpublished(&mut connection, &lanes, AT_ONCE).await?;
    // Not kept while the broker is waited for.
    drop(connection);

    let mut acknowledged = Vec::new();
    let mut failure = None;
    let mut under_way: Vec<(Uuid, PublishAckFuture)> = Vec::with_capacity(letters.len());
    for letter in &letters {
        match send(context, letter).await {
            Ok(Some(acknowledgement)) => under_way.push((letter.id, acknowledgement)),
            // It cannot be published, and the others must not wait for it.
            Ok(None) => acknowledged.push(letter.id),
            // What was sent is still awaited.
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

/// Sends a copy, without its payload when the broker takes none as long; nothing when it takes not even that.
async fn send(context: &Context, letter: &Letter) -> Result<Option<PublishAckFuture>> {
    for payload_max in [PAYLOAD_BYTES_MAX, 0] {
        let subject = format!("{PREFIX}.{}", letter.subject);
        match context
            .connection
            .jetstream
            .send_publish(subject, message(letter, payload_max))
            .await
        {
            Ok(acknowledgement) => return Ok(Some(acknowledgement)),
            Err(error) if error.kind() == PublishErrorKind::MaxPayloadExceeded => {
                let bytes = letter.payload.len();
                tracing::warn!(letter = %letter.id, bytes, "the broker takes no copy as long as this letter");
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
    let is_whole = letter.payload.len() <= payload_max;
    if !is_whole {
        add(
            "Tiris-Payload-Omitted",
            &format!("{} bytes", letter.payload.len()),
        );
    }
    let payload = if is_whole {
        letter.payload.clone()
    } else {
        Vec::new()
    };

    PublishMessage::build()
        .payload(payload.into())
        .headers(headers)
        .message_id(letter.id.to_string())
}

/// A header is one line.
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
    fn a_header_stays_one_short_line() {
        assert_eq!(one_line("a\r\nb"), "a  b");
        assert_eq!(one_line(&"ä".repeat(1_000)).len(), REASON_BYTES_MAX);
    }
}
