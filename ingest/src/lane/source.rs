//! Supplies a lane with messages: keeps a reader open behind the cursor, and reads messages that no reader can receive by
//! direct gets.
//!
//! Owns when a reader is opened, dropped and replaced. The lane verifies its position before a reader is opened.

use super::pace::Pace;
use super::position::LanePosition;
use super::prefetch::Prefetch;
use crate::context::Context;
use crate::plan::Item;
use crate::status::Lag;
use crate::stream::{DirectMessage, Range, Reader, next_from, subjects};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use tiris_store::error::Result;
use uuid::Uuid;

/// After this many readers in a row without a message, the next message is read by a direct get: the client may be unable
/// to receive it.
const FAILED_READERS_MAX: u32 = 3;
/// Each further failure doubles the number of direct gets, up to two to the power of this number: every message that the
/// client cannot receive costs all lanes their connection.
const SINGLES_DOUBLINGS_MAX: u32 = 6;
/// Direct gets that are sent at once, at first, after slow ones, and at most.
const DIRECT_GETS_START: u64 = 32;
const DIRECT_GETS_LEAST: u64 = 16;
const DIRECT_GETS_MAX: u64 = 128;
/// How long direct gets that are sent at once should take.
const DIRECT_TARGET: Duration = Duration::from_millis(100);
/// How long the lane reads by direct gets after a message that no reader can receive: more of them are likely, and each of
/// them would cost all lanes their connection.
const UNREADABLE_WAIT: Duration = Duration::from_secs(30);
/// How often it looks for new messages meanwhile.
const DIRECT_INTERVAL: Duration = Duration::from_millis(50);
/// Maximum number of publishers of such messages in a log line.
const PUBLISHERS_LOGGED: usize = 8;

/// Decides how many messages are read by a direct get after consecutive failures of readers.
#[derive(Debug, Default)]
pub(crate) struct Failures {
    in_a_row: u32,
    /// Direct gets to do before the next reader is opened.
    pub(crate) singles_due: u32,
}

impl Failures {
    /// Records that a reader worked.
    pub(crate) const fn reset(&mut self) {
        self.in_a_row = 0;
    }

    /// Records that a reader failed.
    pub(crate) fn add(&mut self) {
        self.in_a_row = self.in_a_row.saturating_add(1);
        if let Some(doublings) = self.in_a_row.checked_sub(FAILED_READERS_MAX) {
            self.singles_due = 1 << doublings.min(SINGLES_DOUBLINGS_MAX);
        }
    }
}

/// The source of a lane's messages.
#[derive(Debug)]
pub(super) struct Source {
    prefetch: Option<Prefetch>,
    failures: Failures,
    /// The last reader failed; the next messages may be the cause.
    is_suspect: bool,
    /// Until when the lane reads by direct gets.
    unreadable_until: Option<Instant>,
    direct_pace: Pace,
}

impl Default for Source {
    fn default() -> Self {
        Self {
            prefetch: None,
            failures: Failures::default(),
            is_suspect: false,
            unreadable_until: None,
            direct_pace: Pace::new(DIRECT_GETS_START, DIRECT_GETS_LEAST, DIRECT_TARGET),
        }
    }
}

impl Source {
    /// Returns whether a reader is open; otherwise [`Source::open`] starts behind the cursor it is given.
    pub(super) const fn is_open(&self) -> bool {
        self.prefetch.is_some()
    }

    /// Drops the reader and everything it has read ahead, because the cursor is elsewhere.
    pub(super) fn close(&mut self) {
        self.prefetch = None;
    }

    /// Like [`Source::close`], because the reader failed.
    pub(super) fn fail(&mut self) {
        self.close();
        self.failures.add();
        self.is_suspect = true;
    }

    /// Opens a reader behind the cursor unless one is open. Returns messages instead while they have to be read by direct
    /// gets; none when none has arrived. After an error, call [`Source::fail`].
    pub(super) async fn open(
        &mut self,
        context: &Context,
        position: &LanePosition,
    ) -> Result<Option<Vec<Item>>> {
        if self.prefetch.is_some() {
            return Ok(None);
        }
        if (self.is_suspect || self.failures.singles_due > 0 || self.is_among_unreadable())
            && let Some(items) = self.read_directly(context, position).await?
        {
            return Ok(Some(items));
        }

        let key = position.key;
        let state = &position.state;
        let nonce = rand::random();
        let range = Range::of_lane(key, context.lanes, state.epoch, nonce, state.cursor);
        let reader = Reader::open(&context.connection, range).await?;
        self.prefetch = Some(Prefetch::start(reader, context.clone(), key));
        Ok(None)
    }

    /// Returns the next messages of the open reader; empty when none arrived within `wait`. The lane passes over those of the
    /// users `passed`. After an error, call [`Source::fail`].
    pub(super) async fn next_batch(
        &mut self,
        wait: Duration,
        passed: BTreeSet<Uuid>,
    ) -> Result<Vec<Item>> {
        let Some(prefetch) = &mut self.prefetch else {
            return Ok(Vec::new());
        };

        let items = prefetch.next_batch(wait, passed).await?;
        if !items.is_empty() || prefetch.backlog().is_confirmed {
            self.failures.reset();
        }
        Ok(items)
    }

    /// Returns whether the open reader has delivered everything that the stream holds for this lane now.
    pub(super) async fn is_drained(&mut self) -> Result<bool> {
        match &mut self.prefetch {
            Some(prefetch) => prefetch.is_drained().await,
            None => Ok(false),
        }
    }

    /// Returns how far a lane with `pending` messages is behind; None while that is unknown. `committed_at` is the broker's
    /// time of the last committed message.
    pub(super) fn lag(&self, pending: &[Item], committed_at: Option<i64>) -> Option<Lag> {
        let backlog = self.prefetch.as_ref()?.backlog();
        let messages = backlog.messages? + u64::try_from(pending.len()).ok()?;
        if messages == 0 {
            return Some(Lag::NONE);
        }

        let first = pending.first().map(|item| item.message.broker_time);
        Some(Lag {
            messages: Some(messages),
            exact: true,
            // An unread message is younger than the last committed one.
            oldest: first.or(backlog.oldest).or(committed_at),
        })
    }

    /// Returns whether the lane has met a message lately that no reader can receive.
    fn is_among_unreadable(&self) -> bool {
        self.unreadable_until
            .is_some_and(|until| Instant::now() < until)
    }

    /// Reads the next messages by direct gets; None when a reader can go on.
    async fn read_directly(
        &mut self,
        context: &Context,
        position: &LanePosition,
    ) -> Result<Option<Vec<Item>>> {
        let key = position.key;
        let subjects = subjects::of_lane(key, context.lanes);
        let from = position.state.cursor + 1;
        let stream = key.stream;
        let gets = self.direct_pace.limit().min(DIRECT_GETS_MAX);
        let begun = Instant::now();
        let found = next_from(&context.connection, stream, from, &subjects, gets).await?;
        self.direct_pace.succeeded(gets, begun.elapsed());
        self.is_suspect = false;
        if found.is_empty() {
            self.failures.singles_due = 0;
            if !self.is_among_unreadable() {
                return Ok(None);
            }
            tokio::time::sleep(DIRECT_INTERVAL).await;
        }

        if found.iter().any(|direct| !direct.is_readable) {
            self.unreadable_until = Some(Instant::now() + UNREADABLE_WAIT);
            report_unreadable(position, &found);
        }
        let read = u32::try_from(found.len()).unwrap_or(u32::MAX);
        self.failures.singles_due = self.failures.singles_due.saturating_sub(read);
        let items = found
            .into_iter()
            .map(|direct| Item::new(direct.message, stream, context.bare_subjects));
        Ok(Some(items.collect()))
    }
}

/// Counts and logs the messages that no reader can receive, with their publishers.
fn report_unreadable(position: &LanePosition, found: &[DirectMessage]) {
    let key = position.key;
    let unreadable: Vec<&DirectMessage> =
        found.iter().filter(|direct| !direct.is_readable).collect();
    let count = unreadable.iter().map(|_| 1).sum();
    metrics::counter!("ingest_unreadable_messages_total", "stream" => key.stream.name())
        .increment(count);

    let publishers = unreadable.iter().filter_map(|direct| {
        let user = direct.message.subject.rsplit('.').next()?;
        Uuid::try_parse(user).ok()
    });
    let publishers: BTreeSet<Uuid> = publishers.collect();
    let logged = publishers.iter().take(PUBLISHERS_LOGGED);
    let logged: Vec<String> = logged.map(ToString::to_string).collect();
    let single = publishers.first().filter(|_| publishers.len() == 1);
    let user_id = single.map(tracing::field::display);
    let from = position.state.cursor + 1;
    tracing::warn!(lane = %key, from, messages = count, user_id, publishers = logged.join(" "), "headers or subjects of messages cannot be parsed; read them one by one");
}
