//! A client of the live stream.

use crate::world::User;
use reqwest::Response;
use serde_json::Value;
use std::time::Duration;

/// Limit of the wait for a frame or an end.
pub(super) const WAIT: Duration = Duration::from_secs(30);

/// The lines between two empty ones.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Frame {
    pub(super) id: String,
    pub(super) event: String,
    pub(super) data: Value,
    pub(super) is_comment: bool,
}

/// An open stream.
pub(super) struct Stream {
    pub(super) response: Response,
    text: String,
}

impl Stream {
    pub(super) async fn request(user: &User<'_>, token: &str, last: Option<&str>) -> Response {
        tiris_runtime::tls::choose_provider();
        let mut request = reqwest::Client::builder()
            .connect_timeout(WAIT)
            .build()
            .expect("a client")
            .get(format!("http://{}/v1/stream", user.world.address))
            .bearer_auth(token);

        if let Some(last) = last {
            request = request.header("Last-Event-ID", last);
        }

        request.send().await.expect("an answer")
    }

    pub(super) async fn open(user: &User<'_>, last: Option<&str>) -> Self {
        Self::open_with(user, &user.token, last).await
    }

    pub(super) async fn open_with(user: &User<'_>, token: &str, last: Option<&str>) -> Self {
        let response = Self::request(user, token, last).await;
        assert_eq!(response.status(), 200);
        Self {
            response,
            text: String::new(),
        }
    }

    /// Opens a stream from now on; returns it with the id it starts at.
    pub(super) async fn start(user: &User<'_>) -> (Self, String) {
        let mut stream = Self::open(user, None).await;
        let start = stream.frame().await.expect("a start");
        assert_eq!(start.event.as_str(), "", "a start is not an event");
        assert_eq!(start.data, Value::Null, "a start is not an event");
        (stream, start.id)
    }

    /// Returns the next frame that is not a reconnection time; `None` at the end.
    pub(super) async fn frame(&mut self) -> Option<Frame> {
        loop {
            let Some(end) = self.text.find("\n\n") else {
                let chunk = tokio::time::timeout(WAIT, self.response.chunk())
                    .await
                    .expect("a chunk in time");
                // A connection that is cut ends the stream as well.
                self.text += std::str::from_utf8(&chunk.ok().flatten()?).expect("text");
                continue;
            };
            let lines: String = self.text.drain(..end + 2).collect();
            let mut frame = Frame::default();

            for line in lines.lines() {
                match line.split_once(": ") {
                    Some(("id", id)) => frame.id = id.to_owned(),
                    Some(("event", event)) => frame.event = event.to_owned(),
                    Some(("data", data)) => frame.data = serde_json::from_str(data).expect("JSON"),
                    Some(("retry", _)) => frame.event = "retry".to_owned(),
                    // A trace belongs to the event that follows it.
                    _ => frame.is_comment |= line == ":",
                }
            }

            if frame.event != "retry" {
                return Some(frame);
            }
        }
    }

    /// Returns the next event.
    pub(super) async fn event(&mut self) -> Option<Frame> {
        let event = async {
            loop {
                let frame = self.frame().await?;
                if !frame.is_comment {
                    return Some(frame);
                }
            }
        };
        // Heartbeats would keep a test that misses an event waiting forever.
        tokio::time::timeout(WAIT, event)
            .await
            .expect("an event in time")
    }

    pub(super) async fn events(&mut self, count: usize) -> Vec<Frame> {
        let mut events = Vec::new();
        while events.len() < count {
            events.push(self.event().await.expect("an event"));
        }
        events
    }

    pub(super) async fn heartbeats(&mut self, count: usize) {
        for _ in 0..count {
            assert!(self.frame().await.expect("a heartbeat").is_comment);
        }
    }

    pub(super) async fn ends(&mut self) {
        let end = async { while self.frame().await.is_some() {} };
        tokio::time::timeout(WAIT, end)
            .await
            .expect("an end in time");
    }
}
