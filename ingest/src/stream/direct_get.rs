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
use serde_json::{Value, json};
use tiris_domain::lane::EventStream;
use tiris_store::error::Result;

#[derive(serde::Deserialize)]
struct StoredMessage {
    message: RawMessage,
}

/// Returns the message at `seq`; None when the stream has none there.
pub async fn message_at(
    connection: &Connection,
    stream: EventStream,
    seq: u64,
) -> Result<Option<Message>> {
    get(connection, stream, &json!({ "seq": seq })).await
}

/// Returns the first message at or after `seq` on any of `subjects`.
pub async fn first_from(
    connection: &Connection,
    stream: EventStream,
    seq: u64,
    subjects: &[String],
) -> Result<Option<Message>> {
    let mut found = Vec::new();
    for subject in subjects {
        let request = json!({ "seq": seq, "next_by_subj": subject });
        found.extend(get(connection, stream, &request).await?);
    }

    Ok(found.into_iter().min_by_key(|message| message.stream_seq))
}

async fn get(
    connection: &Connection,
    stream: EventStream,
    request: &Value,
) -> Result<Option<Message>> {
    let subject = format!("STREAM.MSG.GET.{}", stream.name());
    let response = connection.jetstream.request(subject, request).await;
    let message = match response.map_err(unavailable)? {
        Response::Ok(StoredMessage { message }) => message,
        Response::Err { error } if error.error_code() == ErrorCode::NO_MESSAGE_FOUND => {
            return Ok(None);
        }
        Response::Err { error } => return Err(unavailable(error)),
    };
    let decode = |text: &str| STANDARD.decode(text).map_err(unavailable);
    let headers = match &message.headers {
        Some(text) => read_headers(&decode(text)?),
        None => Headers::new(),
    };

    Ok(Some(Message {
        payload: decode(&message.payload)?.into(),
        subject: message.subject,
        headers,
        stream_seq: message.sequence,
        broker_time: nanoseconds(message.time),
    }))
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
}
