//! Brings a lane its messages: keeps a reader open behind the cursor, and gets past a message no reader can take.
//!
//! Owns: when a reader is opened, doubted and replaced. Must not know: what a message says, the database, or whether
//! cursor and stream belong together; the lane proves that before a reader is opened.

use crate::context::Context;
use crate::reader::{BatchLimits, Incoming, LaneId, Range, Reader};
use crate::single;
use std::time::{Duration, Instant};
use tiris_store::error::Result;

/// This long a first message is waited for.
const READ_WAIT: Duration = Duration::from_secs(1);
/// While nothing comes, this often the server is asked whether a delivery was lost.
const IDLE_CHECK_INTERVAL: Duration = Duration::from_secs(5);
/// After this many readers in a row that brought nothing, a message is read by the broker's API: it may be one that
/// the client cannot take delivery of.
const FAILED_READERS_MAX: u32 = 3;
/// With every further reader that fails, twice as many are read so, up to two to this power: one such message costs
/// all lanes their connection, many must not.
const SINGLES_DOUBLINGS_MAX: u32 = 6;
/// Bytes of a batch, headers included; well above four messages of maximal size.
const BATCH_BYTES_MAX: usize = 8 * 1024 * 1024;

/// A lane's way to its messages.
#[derive(Debug, Default)]
pub struct Intake {
    reader: Option<Open>,
    /// Readers in a row that brought nothing.
    failed_readers: u32,
    /// Messages to be read by the broker's API before the next reader.
    singles_due: u32,
}

#[derive(Debug)]
struct Open {
    reader: Reader,
    checked_idle: Instant,
}

impl Intake {
    /// Whether a reader is open; else [`Intake::open`] begins anew behind the cursor it is given.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.reader.is_some()
    }

    /// Messages of the lane the stream holds behind the last one read; none when that is not known.
    #[must_use]
    pub fn behind(&self) -> Option<u64> {
        self.reader.as_ref().and_then(|open| open.reader.behind())
    }

    /// Gives the reader up, because the cursor is elsewhere.
    pub fn close(&mut self) {
        self.reader = None;
    }

    /// Gives the reader up, because it failed.
    pub fn doubt(&mut self) {
        self.reader = None;
        self.failed_readers = self.failed_readers.saturating_add(1);
        if let Some(doublings) = self.failed_readers.checked_sub(FAILED_READERS_MAX) {
            self.singles_due = 1 << doublings.min(SINGLES_DOUBLINGS_MAX);
        }
    }

    /// Opens a reader behind `cursor` when none is open; answers with a message instead when that had to be read without
    /// one. After an error, [`Intake::doubt`] it.
    pub async fn open(
        &mut self,
        context: &Context,
        id: LaneId,
        epoch: i64,
        cursor: u64,
    ) -> Result<Option<Incoming>> {
        if self.reader.is_some() {
            return Ok(None);
        }
        if self.singles_due > 0
            && let Some(message) = self.next_single(context, id, cursor).await?
        {
            return Ok(Some(message));
        }
        let range = Range::of_lane(id, context.lanes, epoch, rand::random(), cursor);
        let reader = Reader::open(&context.connection, range).await?;
        self.reader = Some(Open {
            reader,
            checked_idle: Instant::now(),
        });
        Ok(None)
    }

    /// The next message of the open reader, whenever it comes. After an error, [`Intake::doubt`] it.
    pub async fn next_message(&mut self) -> Result<Incoming> {
        let Some(Open { reader, .. }) = &mut self.reader else {
            return std::future::pending().await;
        };
        reader.next().await
    }

    /// The next messages of the open reader, empty when none came in time, for a batch that holds `events` with `bytes`
    /// already; it waits for no others. After an error, [`Intake::doubt`] it.
    pub async fn next(
        &mut self,
        context: &Context,
        id: LaneId,
        events: usize,
        bytes: usize,
    ) -> Result<Vec<Incoming>> {
        let connection = &context.connection;
        let Some(Open {
            reader,
            checked_idle,
        }) = &mut self.reader
        else {
            return Ok(Vec::new());
        };
        let limits = BatchLimits {
            events: context.batch_events.saturating_sub(events),
            bytes: BATCH_BYTES_MAX.saturating_sub(bytes),
        };
        let wait = if events == 0 {
            READ_WAIT
        } else {
            Duration::ZERO
        };
        let messages = reader.next_batch(connection, limits, wait).await?;
        if events > 0 || !messages.is_empty() {
            self.failed_readers = 0;
        } else if checked_idle.elapsed() >= IDLE_CHECK_INTERVAL {
            let waiting = reader.check_idle(connection).await?;
            tracing::trace!(lane = %id, waiting, "idle");
            if reader.is_complete() {
                self.failed_readers = 0;
            }
            *checked_idle = Instant::now();
        }
        Ok(messages)
    }

    /// Whether the open reader has brought all that the stream holds for this lane at this moment.
    pub async fn is_drained(&mut self, context: &Context) -> Result<bool> {
        let Some(Open {
            reader,
            checked_idle,
        }) = &mut self.reader
        else {
            return Ok(false);
        };
        let waiting = reader.check_idle(&context.connection).await?;
        *checked_idle = Instant::now();
        Ok(waiting == 0 && reader.is_complete())
    }

    /// The next message, read without a consumer; none when the lane has no further one.
    async fn next_single(
        &mut self,
        context: &Context,
        id: LaneId,
        cursor: u64,
    ) -> Result<Option<Incoming>> {
        let subjects = id.stream.lane_subjects(id.lane, context.lanes);
        let found =
            single::first_from(&context.connection, id.stream, cursor + 1, &subjects).await?;
        match &found {
            Some(message) => {
                tracing::warn!(lane = %id, seq = message.stream_seq, "deliveries fail, read a single message");
                self.singles_due -= 1;
            }
            None => self.singles_due = 0,
        }
        Ok(found)
    }
}
