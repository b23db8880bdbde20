//! Supplies a lane with messages: keeps a reader open behind the cursor, and gets past a message that no reader can receive.
//!
//! Owns when a reader is opened, dropped and replaced. The lane verifies its position before a reader is opened.

use super::position::LanePosition;
use super::prefetch::Prefetch;
use crate::context::Context;
use crate::plan::Item;
use crate::status::Lag;
use crate::stream::{Range, Reader, first_from, subjects};
use tiris_store::error::Result;

/// After this many readers in a row without a message, the next message is read by a direct get: the client may be unable
/// to receive it.
const FAILED_READERS_MAX: u32 = 3;
/// Each further failure doubles the number of direct gets, up to two to the power of this number: every message that the
/// client cannot receive costs all lanes their connection.
const SINGLES_DOUBLINGS_MAX: u32 = 6;

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
#[derive(Debug, Default)]
pub(super) struct Source {
    prefetch: Option<Prefetch>,
    failures: Failures,
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
    }

    /// Opens a reader behind the cursor unless one is open. Returns a message instead when that had to be read by a direct
    /// get. After an error, call [`Source::fail`].
    pub(super) async fn open(
        &mut self,
        context: &Context,
        position: &LanePosition,
    ) -> Result<Option<Item>> {
        if self.prefetch.is_some() {
            return Ok(None);
        }
        if self.failures.singles_due > 0
            && let Some(item) = self.next_single(context, position).await?
        {
            return Ok(Some(item));
        }

        let key = position.key;
        let state = &position.state;
        let nonce = rand::random();
        let range = Range::of_lane(key, context.lanes, state.epoch, nonce, state.cursor);
        let reader = Reader::open(&context.connection, range).await?;
        self.prefetch = Some(Prefetch::start(reader, context.clone(), key));
        Ok(None)
    }

    /// Returns the next messages of the open reader; empty when none arrived in time. After an error, call [`Source::fail`].
    pub(super) async fn next_batch(&mut self) -> Result<Vec<Item>> {
        let Some(prefetch) = &mut self.prefetch else {
            return Ok(Vec::new());
        };

        let items = prefetch.next_batch().await?;
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

    /// Reads the next message by a direct get; None when the lane has no further one.
    async fn next_single(
        &mut self,
        context: &Context,
        position: &LanePosition,
    ) -> Result<Option<Item>> {
        let key = position.key;
        let subjects = subjects::of_lane(key, context.lanes);
        let from = position.state.cursor + 1;
        let found = first_from(&context.connection, key.stream, from, &subjects).await?;
        let Some(message) = found else {
            self.failures.singles_due = 0;
            return Ok(None);
        };

        tracing::warn!(lane = %key, seq = message.stream_seq, "deliveries fail; read a single message");
        self.failures.singles_due -= 1;
        let item = Item::parse(message, key.stream, context.bare_subjects);
        Ok(Some(item))
    }
}
