//! From a parsed event to what the store is asked to do: the one way for first tries, retries and replays.
//!
//! Owns: which columns an event fills. Must not know: SQL, who publishes, whether the ledger agrees.

use super::entry::{Claim, Entry, Source};
use crate::bots::Beat;
use chrono::{DateTime, SecondsFormat, Utc};
use tiris_domain::event::{Body, Event};
use tiris_domain::ledger::Command;

/// Where an event came from.
#[derive(Clone, Debug)]
pub struct Origin<'a> {
    /// The stream.
    pub stream: &'a str,
    /// Its number there.
    pub stream_seq: i64,
    /// When the broker took it.
    pub broker_time: Option<DateTime<Utc>>,
}

/// What an event asks for.
#[derive(Clone, Debug)]
pub enum FromEvent {
    /// To be booked.
    Entry(Box<Entry>),
    /// To be kept as the latest state of a bot.
    Beat(Box<Beat>),
}

/// What `event` asks for.
#[must_use]
pub fn from_event(event: Event, origin: &Origin<'_>) -> FromEvent {
    let mut info = event.info.clone();
    if let Some(time) = origin.broker_time {
        info.insert(
            "broker_time".to_owned(),
            time.to_rfc3339_opts(SecondsFormat::Nanos, true).into(),
        );
    }
    let log_type = event.log_type().to_owned();
    let order = event.order_id().cloned();
    let command = event.command();
    match (command, event.body) {
        (None, Body::Heartbeat(beat)) => FromEvent::Beat(Box::new(Beat {
            user: event.user,
            trading: event.trading,
            component: beat.component.into_string(),
            status: beat.status.to_string(),
            seen_at: event.timestamp,
            metrics: beat.metrics,
            info,
        })),
        (command, _) => FromEvent::Entry(Box::new(Entry {
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
                stream: origin.stream.to_owned(),
                stream_seq: origin.stream_seq,
            }),
            log_type,
            source: Source::Bot,
            order,
            event_time: Some(event.timestamp),
            message: event.message,
            info,
        })),
    }
}
