//! Reads single messages by the broker's API, in which they come as JSON.
//!
//! A publisher may write headers or a subject that the client cannot parse, so that it drops the connection, or a status
//! line it takes for the server's own; a delivery of such a message never arrives, while here nothing of it reaches the
//! client's parser.

use super::message::{Headers, Message, nanoseconds};
use super::unavailable::unavailable;
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
struct Answer {
    message: RawMessage,
}

/// The message at `seq`; none when the stream has none there.
pub async fn message_at(
    connection: &Connection,
    stream: EventStream,
    seq: u64,
) -> Result<Option<Message>> {
    get(connection, stream, &json!({ "seq": seq })).await
}

/// The first message at or after `seq` on any of `subjects`.
pub async fn first_from(
    connection: &Connection,
    stream: EventStream,
    seq: u64,
    subjects: &[String],
) -> Result<Option<Message>> {
    let mut first: Option<Message> = None;
    for subject in subjects {
        let found = get(
            connection,
            stream,
            &json!({ "seq": seq, "next_by_subj": subject }),
        )
        .await?;
        first = first
            .into_iter()
            .chain(found)
            .min_by_key(|message| message.stream_seq);
    }

    Ok(first)
}

async fn get(
    connection: &Connection,
    stream: EventStream,
    request: &Value,
) -> Result<Option<Message>> {
    let subject = format!("STREAM.MSG.GET.{}", stream.name());
    let answer = connection
        .jetstream
        .request(subject, request)
        .await
        .map_err(unavailable)?;
    let message = match answer {
        Response::Ok(Answer { message }) => message,
        Response::Err { error } if error.error_code() == ErrorCode::NO_MESSAGE_FOUND => {
            return Ok(None);
        }
        Response::Err { error } => return Err(unavailable(error)),
    };
    let headers = match &message.headers {
        Some(text) => read_headers(&STANDARD.decode(text).map_err(unavailable)?),
        None => Headers::new(),
    };

    Ok(Some(Message {
        payload: STANDARD
            .decode(&message.payload)
            .map_err(unavailable)?
            .into(),
        subject: message.subject,
        headers,
        stream_seq: message.sequence,
        broker_time: nanoseconds(message.time),
    }))
}

/// Whatever can be made of the header block: the first line is the version, a line without a colon has no value.
fn read_headers(block: &[u8]) -> Headers {
    let mut headers = Headers::new();
    for line in String::from_utf8_lossy(block)
        .lines()
        .skip(1)
        .filter(|line| !line.is_empty())
    {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        headers
            .entry(name.to_owned())
            .or_default()
            .push(value.trim().to_owned());
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_as_far_as_they_go() {
        let headers = read_headers(b"NATS/1.0\r\nA: 1\r\nA:2\r\nodd\r\nB: \xff\r\n\r\n");
        assert_eq!(headers["A"], ["1", "2"]);
        assert_eq!(headers["odd"], [""]);
        assert_eq!(headers["B"], ["\u{fffd}"]);
        assert_eq!(headers.len(), 3);
        assert!(read_headers(b"").is_empty());
    }
}
