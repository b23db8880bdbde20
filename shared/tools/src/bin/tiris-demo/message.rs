//! The events of the bot as NATS messages: subject, ids and common fields.

use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};
use tiris_domain::event::Kind;
use uuid::Uuid;

/// An event ready to be published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) kind: Kind,
    pub(crate) subject: String,
    /// JSON.
    pub(crate) payload: Bytes,
}

/// Writes the events of one trading.
#[derive(Clone, Debug)]
pub(crate) struct Writer {
    user: Uuid,
    trading: Uuid,
    /// Whether ids are numbers, the same in every run, instead of new UUIDs.
    repeatable: bool,
    events: u64,
}

impl Writer {
    pub(crate) const fn new(user: Uuid, trading: Uuid, repeatable: bool) -> Self {
        Self {
            user,
            trading,
            repeatable,
            events: 0,
        }
    }

    /// Writes one event; `body` is an object with the fields of its kind.
    pub(crate) fn write(&mut self, kind: Kind, time: DateTime<Utc>, body: Value) -> Message {
        self.events += 1;
        let event_id = format!("{}-{}", self.trading, self.id(self.events));
        let mut event = json!({
            "event_id": event_id,
            "event_type": kind.bare_subject(),
            "timestamp": time.to_rfc3339_opts(SecondsFormat::Millis, true),
            "user_id": self.user,
            "trading_id": self.trading,
            "source": "tiris-demo-bot",
            "version": "1.0",
        });
        if let (Value::Object(event), Value::Object(body)) = (&mut event, body) {
            event.extend(body);
        }

        Message {
            kind,
            subject: kind.subject_of(self.user),
            payload: event.to_string().into(),
        }
    }

    /// Returns the id of the order with this number.
    pub(crate) fn order_id(&self, number: u64) -> String {
        format!("demo-{}", self.id(number))
    }

    fn id(&self, number: u64) -> String {
        if self.repeatable {
            number.to_string()
        } else {
            Uuid::now_v7().to_string()
        }
    }
}
