//! How the bot writes its events: the fields all of them share, their ids, their subjects.
//!
//! Owns: the envelope of an event. Must not know: what the bot does, how events are published.

use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value};
use tiris_domain::event::Kind;
use uuid::Uuid;

const SOURCE: &str = "tiris-demo-bot";
const VERSION: &str = "1.0";

/// An event ready to be published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    /// What it is about.
    pub(super) kind: Kind,
    /// Where it goes.
    pub(super) subject: String,
    /// The JSON text.
    pub(super) payload: Bytes,
}

/// How event ids and order ids are made.
#[derive(Clone, Debug)]
pub(super) enum Ids {
    /// Counted, so that the same run says the same again.
    Counted {
        /// Events written so far.
        events: u64,
        /// Orders placed so far.
        orders: u64,
    },
    /// New at every run.
    Fresh,
}

/// Writes the events of one user's trading.
#[derive(Clone, Debug)]
pub(super) struct Writer {
    user: Uuid,
    trading: Uuid,
    ids: Ids,
}

impl Writer {
    /// Events with counted ids, the same at every run.
    pub(super) const fn counted(user: Uuid, trading: Uuid) -> Self {
        Self {
            user,
            trading,
            ids: Ids::Counted {
                events: 0,
                orders: 0,
            },
        }
    }

    /// Events with UUIDv7 ids, new at every run.
    pub(super) const fn fresh(user: Uuid, trading: Uuid) -> Self {
        Self {
            user,
            trading,
            ids: Ids::Fresh,
        }
    }

    /// Writes one event; `body` is an object with the fields of its kind.
    pub(super) fn write(&mut self, kind: Kind, time: DateTime<Utc>, body: Value) -> Message {
        let mut object = Map::new();
        let fields: [(&str, Value); 7] = [
            ("event_id", self.event_id().into()),
            ("event_type", kind.bare_subject().into()),
            (
                "timestamp",
                time.to_rfc3339_opts(SecondsFormat::Millis, true).into(),
            ),
            ("user_id", self.user.to_string().into()),
            ("trading_id", self.trading.to_string().into()),
            ("source", SOURCE.into()),
            ("version", VERSION.into()),
        ];
        object.extend(fields.map(|(name, value)| (name.to_owned(), value)));

        if let Value::Object(body) = body {
            object.extend(body);
        }
        let payload = Value::Object(object).to_string().into();

        Message {
            kind,
            subject: kind.subject_of(self.user),
            payload,
        }
    }

    /// The id of the next order.
    pub(super) fn next_order_id(&mut self) -> String {
        match &mut self.ids {
            Ids::Counted { orders, .. } => {
                *orders += 1;
                format!("demo-{orders}")
            }
            Ids::Fresh => format!("demo-{}", Uuid::now_v7()),
        }
    }

    fn event_id(&mut self) -> String {
        match &mut self.ids {
            Ids::Counted { events, .. } => {
                *events += 1;
                format!("{}-{events}", self.trading)
            }
            Ids::Fresh => Uuid::now_v7().to_string(),
        }
    }
}
