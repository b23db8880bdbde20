//! Sorts the messages of a batch: commands for the ledger, heartbeats, and what is no event.
//!
//! Owns: how a message becomes an entry or a dead letter. Must not know: SQL, consumers.

use crate::reader::{Incoming, LaneId};
use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use tiris_domain::event::{self, BareSubjects, Event, Malformed};
use tiris_store::bots::Beat;
use tiris_store::dead_letters::{Cause, Class, NewLetter};
use tiris_store::ledger::{Batch, Entry, FromEvent, Key, Origin, Outcome, from_event};
use uuid::Uuid;

/// A batch, sorted. Indexes of `messages` lead back to the messages.
#[derive(Debug, Default)]
pub struct Plan {
    /// For the ledger, in stream order.
    pub entries: Vec<Entry>,
    /// The message of each entry.
    pub entry_messages: Vec<usize>,
    /// Latest states of bots.
    pub beats: Vec<Beat>,
    /// Messages that are no events.
    pub malformed: Vec<(usize, Malformed)>,
}

/// What a batch did, in events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Applied, heartbeats among them.
    pub applied: u64,
    /// Processed before.
    pub duplicate: u64,
    /// Put aside as dead letters.
    pub dead: u64,
    /// Of those applied, told by a bot that believed another balance, or released another amount, than the books hold.
    pub drift: u64,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is in the books, or is the latest heartbeat.
    Applied,
    /// It was processed before.
    Duplicate,
    /// It is a dead letter, for this reason.
    Dead(Class, &'static str),
}

impl Fate {
    /// As metrics and log lines have it.
    #[must_use]
    pub const fn outcome(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Duplicate => "duplicate",
            Self::Dead(..) => "dead",
        }
    }

    /// Why it is dead.
    #[must_use]
    pub const fn code(self) -> Option<&'static str> {
        match self {
            Self::Applied | Self::Duplicate => None,
            Self::Dead(_, code) => Some(code),
        }
    }
}

impl Plan {
    /// Parses every message.
    #[must_use]
    pub fn new(messages: &[Incoming], id: LaneId, bare: BareSubjects) -> Self {
        let mut plan = Self::default();
        for (at, message) in messages.iter().enumerate() {
            plan.parse(at, message, id, bare);
        }
        plan
    }

    /// Parses one more message, which stands at `at`.
    pub fn parse(&mut self, at: usize, message: &Incoming, id: LaneId, bare: BareSubjects) {
        match event::parse(&message.subject, &message.payload, bare) {
            Ok(event) => self.add(at, event, message, id),
            Err(malformed) => self.malformed.push((at, *malformed)),
        }
    }

    fn add(&mut self, at: usize, event: Event, message: &Incoming, id: LaneId) {
        let origin = Origin {
            stream: id.stream.name(),
            stream_seq: stored_seq(message.stream_seq),
            broker_time: broker_time(message),
        };
        match from_event(event, &origin) {
            FromEvent::Beat(beat) => self.beats.push(*beat),
            FromEvent::Entry(entry) => {
                self.entry_messages.push(at);
                self.entries.push(*entry);
            }
        }
    }

    /// Users and tradings with an entry in the batch.
    #[must_use]
    pub fn keys(&self) -> BTreeSet<Key> {
        self.entries
            .iter()
            .map(|entry| (entry.user, entry.trading))
            .collect()
    }

    /// The user of each entry, with its message.
    pub fn users(&self) -> impl Iterator<Item = (Uuid, usize)> {
        self.entries
            .iter()
            .map(|entry| entry.user.0)
            .zip(self.entry_messages.iter().copied())
    }

    /// What became of each of `count` messages, by the letters they became and what the ledger says of the rest.
    #[must_use]
    pub fn fates(&self, count: usize, batch: &Batch) -> Vec<Fate> {
        // Heartbeats are in no other list.
        let mut fates = vec![Fate::Applied; count];
        for (at, malformed) in &self.malformed {
            fates[*at] = dead(&Cause::from(malformed));
        }
        for (at, outcome) in self.entry_messages.iter().zip(&batch.outcomes) {
            fates[*at] = match cause(outcome) {
                Some(cause) => dead(&cause),
                None if matches!(outcome, Outcome::Duplicate) => Fate::Duplicate,
                None => Fate::Applied,
            };
        }
        fates
    }

    /// The dead letters of the batch in stream order, and what became of it in all.
    #[must_use]
    pub fn letters(
        &self,
        messages: &[Incoming],
        id: LaneId,
        stream_created_at: i64,
        batch: &Batch,
    ) -> (Vec<NewLetter>, Counts) {
        let mut counts = Counts {
            applied: count(self.beats.len()),
            ..Counts::default()
        };
        let mut letters: Vec<NewLetter> = self
            .malformed
            .iter()
            .map(|(at, malformed)| {
                malformed_letter(&messages[*at], malformed, id, stream_created_at)
            })
            .collect();
        for ((entry, at), outcome) in self
            .entries
            .iter()
            .zip(&self.entry_messages)
            .zip(&batch.outcomes)
        {
            if let Outcome::Applied(applied) = outcome {
                counts.applied += 1;
                counts.drift += u64::from(!applied.effect.drift.is_empty());
            }
            counts.duplicate += u64::from(matches!(outcome, Outcome::Duplicate));
            if let Some(cause) = cause(outcome) {
                letters.push(letter(
                    &messages[*at],
                    id,
                    stream_created_at,
                    cause,
                    &Names::of_entry(entry),
                ));
            }
        }
        letters.sort_by_key(|letter| letter.stream_seq);
        counts.dead = count(letters.len());
        (letters, counts)
    }
}

/// Why an outcome is a letter; none when it is not.
fn cause(outcome: &Outcome) -> Option<Cause> {
    match outcome {
        Outcome::Applied(_) | Outcome::Duplicate => None,
        Outcome::Reused => Some(Cause::event_id_reused()),
        Outcome::Rejected(rejection) => Some(Cause::from(*rejection)),
        Outcome::Behind => Some(Cause::behind_unresolved()),
    }
}

fn dead(cause: &Cause) -> Fate {
    Fate::Dead(cause.class, cause.code)
}

/// The letter of a message that could not be applied for a reason nobody foresaw.
#[must_use]
pub fn internal_letter(
    message: &Incoming,
    id: LaneId,
    stream_created_at: i64,
    bare: BareSubjects,
    error: &dyn std::error::Error,
) -> NewLetter {
    let names = match event::parse(&message.subject, &message.payload, bare) {
        Ok(event) => Names {
            event_id: Some(event.event_id.into_string()),
            user_id: Some(event.user.0),
            trading_id: Some(event.trading.0),
        },
        Err(malformed) => Names::of_malformed(&malformed),
    };
    letter(
        message,
        id,
        stream_created_at,
        Cause::internal(error),
        &names,
    )
}

/// Whom a letter concerns, as far as known.
struct Names {
    event_id: Option<String>,
    user_id: Option<Uuid>,
    trading_id: Option<Uuid>,
}

impl Names {
    fn of_entry(entry: &Entry) -> Self {
        Self {
            event_id: entry.claim.as_ref().map(|claim| claim.event_id.clone()),
            user_id: Some(entry.user.0),
            trading_id: Some(entry.trading.0),
        }
    }

    fn of_malformed(malformed: &Malformed) -> Self {
        Self {
            event_id: malformed.event_id.as_ref().map(ToString::to_string),
            user_id: malformed.user_id,
            trading_id: malformed.trading_id,
        }
    }
}

fn malformed_letter(
    message: &Incoming,
    malformed: &Malformed,
    id: LaneId,
    stream_created_at: i64,
) -> NewLetter {
    letter(
        message,
        id,
        stream_created_at,
        Cause::from(malformed),
        &Names::of_malformed(malformed),
    )
}

fn letter(
    message: &Incoming,
    id: LaneId,
    stream_created_at: i64,
    cause: Cause,
    names: &Names,
) -> NewLetter {
    NewLetter {
        stream: id.stream.name().to_owned(),
        lane: i32::try_from(id.lane).unwrap_or(i32::MAX),
        stream_created_at,
        stream_seq: stored_seq(message.stream_seq),
        subject: storable(&message.subject),
        payload: message.payload.to_vec(),
        headers: headers(message),
        broker_time: broker_time(message),
        event_id: names.event_id.clone(),
        user_id: names.user_id,
        trading_id: names.trading_id,
        cause: Cause {
            reason: storable(&cause.reason),
            ..cause
        },
    }
}

fn headers(message: &Incoming) -> Value {
    let mut all = Map::new();
    for (name, values) in &message.headers {
        let values = values
            .iter()
            .map(|value| Value::String(storable(value)))
            .collect();
        all.insert(storable(name), Value::Array(values));
    }
    Value::Object(all)
}

/// PostgreSQL keeps no U+0000 in a text.
fn storable(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

fn broker_time(message: &Incoming) -> Option<DateTime<Utc>> {
    Some(DateTime::from_timestamp_nanos(message.broker_time))
}

/// Stream sequences start at 1 and would take 292 million years at a thousand a second to leave `bigint`.
fn stored_seq(seq: u64) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
