//! Brings a lane its messages: keeps a reader open behind the cursor, and gets past a message no reader can take.
//!
//! Owns: when a reader is opened, doubted and replaced. The lane verifies that cursor and stream belong together before a
//! reader is opened.

use super::position::LanePosition;
use super::prefetch::{Backlog, Prefetch, Scope};
use crate::context::Context;
use crate::plan::Item;
use crate::stream::{Range, Reader, first_from, subjects};
use tiris_store::error::Result;

/// After this many readers in a row that brought nothing, a message is read by the broker's API: it may be one that
/// the client cannot take delivery of.
const FAILED_READERS_MAX: u32 = 3;
/// With every further reader that fails, twice as many are read so, up to two to this power: one such message costs
/// all lanes their connection, many must not.
const SINGLES_DOUBLINGS_MAX: u32 = 6;

/// How many messages are read by the broker's API after readers that failed in a row.
#[derive(Debug, Default)]
pub(crate) struct Failures {
    in_a_row: u32,
    /// Messages to be read by the broker's API before the next reader.
    pub(crate) singles_due: u32,
}

impl Failures {
    /// A reader worked.
    pub(crate) const fn reset(&mut self) {
        self.in_a_row = 0;
    }

    /// A reader failed.
    pub(crate) fn add(&mut self) {
        self.in_a_row = self.in_a_row.saturating_add(1);
        if let Some(doublings) = self.in_a_row.checked_sub(FAILED_READERS_MAX) {
            self.singles_due = 1 << doublings.min(SINGLES_DOUBLINGS_MAX);
        }
    }
}

/// A lane's way to its messages.
#[derive(Debug, Default)]
pub(super) struct Source {
    prefetch: Option<Prefetch>,
    failures: Failures,
}

impl Source {
    /// Whether a reader is open; else [`Source::open`] begins anew behind the cursor it is given.
    pub(super) const fn is_open(&self) -> bool {
        self.prefetch.is_some()
    }

    /// What is known of the messages the lane has not received.
    pub(super) fn backlog(&self) -> Option<Backlog> {
        self.prefetch.as_ref().map(Prefetch::backlog)
    }

    /// Gives the reader up with all it has read ahead, because the cursor is elsewhere.
    pub(super) fn close(&mut self) {
        self.prefetch = None;
    }

    /// Gives the reader up with all it has read ahead, because it failed.
    pub(super) fn doubt(&mut self) {
        self.prefetch = None;
        self.failures.add();
    }

    /// Opens a reader behind the cursor when none is open. Returns a message instead when that had to be read without one.
    /// After an error, [`Source::doubt`] it.
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
        let range = Range::of_lane(
            key,
            context.lanes,
            position.epoch,
            rand::random(),
            position.cursor,
        );
        let reader = Reader::open(&context.connection, range).await?;
        let scope = Scope {
            connection: context.connection.clone(),
            key,
            bare_subjects: context.bare_subjects,
            batch_events: context.batch_events,
        };
        self.prefetch = Some(Prefetch::start(reader, scope));
        Ok(None)
    }

    /// The next messages of the open reader; empty when none came in time. After an error, [`Source::doubt`] it.
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

    /// Whether the open reader has brought all that the stream holds for this lane at this moment.
    pub(super) async fn is_drained(&mut self) -> Result<bool> {
        match &mut self.prefetch {
            Some(prefetch) => prefetch.is_drained().await,
            None => Ok(false),
        }
    }

    /// The next message, read without a consumer; none when the lane has no further one.
    async fn next_single(
        &mut self,
        context: &Context,
        position: &LanePosition,
    ) -> Result<Option<Item>> {
        let key = position.key;
        let subjects = subjects::of_lane(key, context.lanes);
        let from = position.cursor + 1;
        let found = first_from(&context.connection, key.stream, from, &subjects).await?;
        let Some(message) = found else {
            self.failures.singles_due = 0;
            return Ok(None);
        };

        tracing::warn!(lane = %key, seq = message.stream_seq, "deliveries fail, read a single message");
        self.failures.singles_due -= 1;
        Ok(Some(Item::parse(
            message,
            key.stream,
            context.bare_subjects,
        )))
    }
}
