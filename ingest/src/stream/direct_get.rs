//! Reads single messages by the broker's API, which returns them as JSON.
//!
//! A publisher may write a subject or headers that the client cannot parse, so that it drops the connection, or a status line
//! that it mistakes for the server's. Such a message is never delivered; here nothing of it reaches the client's parser.

use super::message::{Headers, Message, nanoseconds};
use super::unavailable;
use crate::connection::Connection;
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::response::Response;
use async_nats::jetstream::stream::RawMessage;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::try_join_all;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tiris_domain::lane::EventStream;
use tiris_store::error::Result;

#[derive(serde::Deserialize)]
struct StoredMessage {
    message: RawMessage,
}

/// A message that was read by a direct get.
#[derive(Clone, Debug)]
pub struct DirectMessage {
    /// The message.
    pub message: Message,
    /// Whether every client can receive it.
    pub is_readable: bool,
}

/// Returns the message at `seq`; None when the stream has none there.
pub async fn message_at(
    connection: &Connection,
    stream: EventStream,
    seq: u64,
) -> Result<Option<Message>> {
    let found = get(connection, stream, &json!({ "seq": seq })).await?;
    Ok(found.map(|direct| direct.message))
}

/// Returns the first message at or after `seq` on any of `subjects`.
pub async fn first_from(
    connection: &Connection,
    stream: EventStream,
    seq: u64,
    subjects: &[String],
) -> Result<Option<Message>> {
    let found = first(connection, stream, seq, subjects).await?;
    Ok(found.map(|direct| direct.message))
}

/// Returns the next messages at or after `seq` on any of `subjects`, in stream order and without a gap; none when there is
/// no further one. Sends `gets` requests at once, so it returns many only where they are dense.
pub async fn next_from(
    connection: &Connection,
    stream: EventStream,
    seq: u64,
    subjects: &[String],
    gets: u64,
) -> Result<Vec<DirectMessage>> {
    let Some(next) = first(connection, stream, seq, subjects).await? else {
        return Ok(Vec::new());
    };
    let from = next.message.stream_seq + 1;
    let places = from..from + gets;
    let more = places
        .clone()
        .map(|place| first(connection, stream, place, subjects));
    let more = try_join_all(more).await?;

    Ok(without_gap(next, places.zip(more)))
}

/// Returns the messages that were found, each at or after its place, without repetition. Those behind a place where none
/// was found are left out: they were stored between the two requests, and so may others have been before them.
fn without_gap(
    first: DirectMessage,
    found: impl Iterator<Item = (u64, Option<DirectMessage>)>,
) -> Vec<DirectMessage> {
    let mut messages = BTreeMap::from([(first.message.stream_seq, first)]);
    let mut end = u64::MAX;
    for (place, found) in found {
        match found {
            Some(found) => {
                messages.insert(found.message.stream_seq, found);
            }
            None => end = end.min(place),
        }
    }

    messages.split_off(&end);
    messages.into_values().collect()
}

async fn first(
    connection: &Connection,
    stream: EventStream,
    seq: u64,
    subjects: &[String],
) -> Result<Option<DirectMessage>> {
    let found = first_of_each(connection, stream, seq, subjects).await?;
    if subjects.len() < 2 || found.is_none() {
        return Ok(found);
    }
    // While one subject was read, an earlier message may have been stored on another: what precedes a message that was
    // found is there now.
    first_of_each(connection, stream, seq, subjects).await
}

async fn first_of_each(
    connection: &Connection,
    stream: EventStream,
    seq: u64,
    subjects: &[String],
) -> Result<Option<DirectMessage>> {
    let mut found = Vec::new();
    for subject in subjects {
        let request = json!({ "seq": seq, "next_by_subj": subject });
        found.extend(get(connection, stream, &request).await?);
    }

    Ok(found
        .into_iter()
        .min_by_key(|direct| direct.message.stream_seq))
}

async fn get(
    connection: &Connection,
    stream: EventStream,
    request: &Value,
) -> Result<Option<DirectMessage>> {
    let subject = format!("STREAM.MSG.GET.{}", stream.name());
    let message = match connection.request(subject, request).await? {
        Response::Ok(StoredMessage { message }) => message,
        Response::Err { error } if error.error_code() == ErrorCode::NO_MESSAGE_FOUND => {
            return Ok(None);
        }
        Response::Err { error } => return Err(unavailable(error)),
    };
    let decode = |text: &str| STANDARD.decode(text).map_err(unavailable);
    let headers = message.headers.as_deref().map(decode).transpose()?;

    let is_readable = message.subject.chars().all(|c| c.is_ascii_graphic())
        && headers.as_deref().is_none_or(are_readable);
    let message = Message {
        payload: decode(&message.payload)?.into(),
        subject: message.subject,
        headers: headers.as_deref().map_or_else(Headers::new, read_headers),
        stream_seq: message.sequence,
        broker_time: nanoseconds(message.time),
    };
    Ok(Some(DirectMessage {
        message,
        is_readable,
    }))
}

/// Returns whether every client can parse a header block. Stricter than clients are: a block that is refused here in vain is
/// only read in another way.
fn are_readable(block: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(block) else {
        return false;
    };
    let mut lines = text.split("\r\n");
    let is_header = |line: &str| {
        line.split_once(':').is_some_and(|(name, value)| {
            let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_graphic());
            is_name && !value.chars().any(char::is_control)
        })
    };

    lines.next() == Some("NATS/1.0") && lines.filter(|line| !line.is_empty()).all(is_header)
}

/// Reads a header block leniently: the first line is the version, and a line without a colon has an empty value.
fn read_headers(block: &[u8]) -> Headers {
    let mut headers = Headers::new();
    let text = String::from_utf8_lossy(block);
    for line in text.lines().skip(1).filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let values = headers.entry(name.to_owned()).or_default();
        values.push(value.trim().to_owned());
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_malformed_headers_leniently() {
        let headers = read_headers(b"NATS/1.0\r\nA: 1\r\nA:2\r\nodd\r\nB: \xff\r\n\r\n");
        assert_eq!(headers["A"], ["1", "2"]);
        assert_eq!(headers["odd"], [""]);
        assert_eq!(headers["B"], ["\u{fffd}"]);
        assert_eq!(headers.len(), 3);
        assert!(read_headers(b"").is_empty());
    }

    #[test]
    fn recognizes_headers_that_a_client_may_refuse() {
        for block in [
            &b"NATS/1.0\r\n\r\n"[..],
            b"NATS/1.0\r\nA: 1\r\nb-c: \xe5\xb8\x81\r\n\r\n",
        ] {
            assert!(are_readable(block), "{}", block.escape_ascii());
        }

        for block in [
            &b""[..],
            b"no version\r\n\r\n",
            b"NATS/1.0 100 Idle Heartbeat\r\n\r\n",
            b"NATS/1.0\r\nno colon\r\n\r\n",
            b"NATS/1.0\r\n: no name\r\n\r\n",
            b"NATS/1.0\r\nBad Name: x\r\n\r\n",
            b"NATS/1.0\r\nA: \0\r\n\r\n",
            b"NATS/1.0\r\nA: 1\r\n folded: 2\r\n\r\n",
            b"NATS/1.0\r\nA: \xff\r\n\r\n",
        ] {
            assert!(!are_readable(block), "{}", block.escape_ascii());
        }
    }

    fn at(stream_seq: u64) -> DirectMessage {
        DirectMessage {
            message: Message {
                subject: String::new(),
                payload: bytes::Bytes::new(),
                headers: Headers::new(),
                stream_seq,
                broker_time: 0,
            },
            is_readable: true,
        }
    }

    fn sequences(messages: &[DirectMessage]) -> Vec<u64> {
        let messages = messages.iter();
        messages.map(|direct| direct.message.stream_seq).collect()
    }

    #[test]
    fn leaves_out_what_was_stored_while_it_read() {
        let found = [
            (3, Some(at(5))),
            (4, Some(at(5))),
            (5, None),
            (6, Some(at(8))),
        ];

        let read = without_gap(at(2), found.into_iter());

        assert_eq!(sequences(&read), [2]);
    }

    #[test]
    fn returns_each_message_once() {
        let found = [
            (3, Some(at(5))),
            (4, Some(at(5))),
            (5, Some(at(5))),
            (6, Some(at(9))),
        ];

        let read = without_gap(at(2), found.into_iter());

        assert_eq!(sequences(&read), [2, 5, 9]);
    }
}
