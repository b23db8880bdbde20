//! Parses a message into the work it requests, for first attempts, retries and replays alike.

use super::entry::{Claim, Entry, Source};
use crate::bots::Heartbeat;
use chrono::{DateTime, SecondsFormat, Utc};
use tiris_domain::event::{self, BareSubjects, Body, Event, Malformed};
use tiris_domain::lane::EventStream;
use tiris_domain::ledger::Command;
use uuid::Uuid;

/// The origin of a message.
#[derive(Clone, Copy, Debug)]
pub struct Origin {
    /// The stream that delivered the message.
    pub stream: EventStream,
    /// Sequence of the message in the stream.
    pub stream_seq: u64,
    /// Time at which the broker stored the message.
    pub broker_time: Option<DateTime<Utc>>,
}

/// The work that a message requests.
#[derive(Clone, Debug)]
pub enum Work {
    /// An entry of the ledger.
    Entry(Box<Entry>),
    /// The latest state of a component of a bot.
    Heartbeat(Box<Heartbeat>),
    /// Nothing: the message is not an event.
    Malformed(Box<Malformed>),
}

/// The event, user and trading that a message names, as far as they are known.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// The id of the event, if it is valid.
    pub event_id: Option<String>,
    /// The user of the event, if it is known.
    pub user_id: Option<Uuid>,
    /// The trading of the event, if it is known.
    pub trading_id: Option<Uuid>,
}

impl AsRef<Self> for Work {
    fn as_ref(&self) -> &Self {
        self
    }
}

impl Work {
    /// Parses a message.
    #[must_use]
    pub fn parse(subject: &str, payload: &[u8], bare: BareSubjects, origin: &Origin) -> Self {
        match event::parse(subject, payload, bare) {
            Ok(event) => Self::of_event(event, origin),
            Err(malformed) => Self::Malformed(malformed),
        }
    }

    fn of_event(event: Event, origin: &Origin) -> Self {
        let command = event.command();
        let log_type = event.log_type();
        let order = event.order_id().cloned();
        let mut info = event.info;
        if let Some(time) = origin.broker_time {
            let time = time.to_rfc3339_opts(SecondsFormat::Nanos, true);
            info.insert("broker_time".to_owned(), time.into());
        }

        match (command, event.body) {
            (None, Body::Heartbeat(heartbeat)) => {
                let heartbeat = Heartbeat {
                    event_id: event.event_id.into_string(),
                    user: event.user,
                    trading: event.trading,
                    component: heartbeat.component.into_string(),
                    status: heartbeat.status,
                    seen_at: event.timestamp,
                    is_clock_ahead: false,
                    metrics: heartbeat.metrics,
                    info,
                };
                Self::Heartbeat(Box::new(heartbeat.limited_by(origin.broker_time)))
            }
            (command, _) => Self::Entry(Box::new(Entry {
                user: event.user,
                trading: event.trading,
                sub_account: event.sub_account,
                // Only a heartbeat has no command.
                command: command.unwrap_or(Command::Record {
                    account: event.sub_account,
                }),
                claim: Some(Claim {
                    event_id: event.event_id.into_string(),
                    content_hash: event.content_hash,
                    stream: origin.stream,
                    stream_seq: origin.stream_seq,
                }),
                log_type: log_type.to_owned(),
                source: Source::Bot,
                order,
                event_time: Some(event.timestamp),
                message: event.message,
                info,
            })),
        }
    }

    /// Returns the entry of the ledger, if the message requests one.
    #[must_use]
    pub fn entry(&self) -> Option<&Entry> {
        match self {
            Self::Entry(entry) => Some(entry),
            Self::Heartbeat(_) | Self::Malformed(_) => None,
        }
    }

    /// Returns the event, user and trading that the message names.
    #[must_use]
    pub fn names(&self) -> Names {
        match self {
            Self::Entry(entry) => Names {
                event_id: entry.event_id().map(str::to_owned),
                user_id: Some(entry.user.0),
                trading_id: Some(entry.trading.0),
            },
            Self::Heartbeat(heartbeat) => Names {
                event_id: Some(heartbeat.event_id.clone()),
                user_id: Some(heartbeat.user.0),
                trading_id: Some(heartbeat.trading.0),
            },
            Self::Malformed(malformed) => Names {
                event_id: malformed.event_id.as_ref().map(ToString::to_string),
                user_id: malformed.user_id,
                trading_id: malformed.trading_id,
            },
        }
    }
}
