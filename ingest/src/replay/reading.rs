//! Reads the messages of a replay, and gets past a message that no reader can receive.

use crate::connection::Connection;
use crate::lane::Failures;
use crate::stream::{BatchLimits, Message, Range, Reader, first_from};
use std::time::Duration;
use tiris_domain::lane::EventStream;
use tiris_store::error::Result;
use tiris_store::replay_jobs::{Job, StreamProgress};
use uuid::Uuid;

/// Messages and bytes read at once.
const LIMITS: BatchLimits = BatchLimits {
    events: 250,
    bytes: 4 * 1024 * 1024,
};
/// How long a read waits for its first message.
const READ_WAIT: Duration = Duration::from_secs(1);

/// The source of a replay's messages; keeps its reader from chunk to chunk.
#[derive(Default)]
pub(super) struct Reading {
    open: Option<Open>,
    failures: Failures,
}

/// A reader and its position.
struct Open {
    job: Uuid,
    stream: EventStream,
    next: u64,
    reader: Reader,
    /// Messages that were read and not processed.
    pending: Vec<Message>,
}

/// Messages, and the sequence at which the next chunk begins.
pub(super) struct Read {
    pub(super) messages: Vec<Message>,
    pub(super) next: u64,
}

impl Reading {
    /// Drops the reader and everything it has read.
    pub(super) fn close(&mut self) {
        self.open = None;
    }

    /// Moves to `next` after a chunk; `left` are the messages from there on that were read.
    pub(super) fn advance(&mut self, next: u64, left: Vec<Message>) {
        if let Some(open) = &mut self.open {
            open.next = next;
            open.pending = left;
        }
    }

    /// Returns the next messages of the range.
    pub(super) async fn next(
        &mut self,
        connection: &Connection,
        job: &Job,
        stream: EventStream,
        at: StreamProgress,
    ) -> Result<Read> {
        let is_here =
            |open: &Open| open.job == job.id && open.stream == stream && open.next == at.next;
        let open = match self.open.take().filter(is_here) {
            Some(open) => open,
            None if self.failures.singles_due > 0 => {
                self.failures.singles_due -= 1;
                return read_single(connection, stream, at).await;
            }
            None => {
                let range = Range::of_replay(stream, job.id, rand::random(), at.next, job.user_id);
                Open {
                    job: job.id,
                    stream,
                    next: at.next,
                    reader: Reader::open(connection, range).await?,
                    pending: Vec::new(),
                }
            }
        };

        let read = self.open.insert(open).read(connection, at).await;
        if read.is_ok() {
            self.failures.reset();
        } else {
            self.failures.add();
        }
        read
    }
}

impl Open {
    async fn read(&mut self, connection: &Connection, at: StreamProgress) -> Result<Read> {
        let end = at.last + 1;
        let mut messages = std::mem::take(&mut self.pending);
        if messages.is_empty() {
            let next = self.reader.next_batch(connection, LIMITS, READ_WAIT);
            messages = next.await?;
        }

        let is_over = if messages.is_empty() {
            let left = self.reader.check_idle(connection).await?;
            left == 0 && self.reader.is_complete()
        } else {
            messages.iter().any(|message| message.stream_seq > at.last)
        };
        messages.retain(|message| message.stream_seq <= at.last);
        let behind = messages.last().map_or(at.next, |last| last.stream_seq + 1);
        Ok(Read {
            messages,
            next: if is_over { end } else { behind },
        })
    }
}

async fn read_single(
    connection: &Connection,
    stream: EventStream,
    at: StreamProgress,
) -> Result<Read> {
    let all = [">".to_owned()];
    let found = first_from(connection, stream, at.next, &all).await?;
    let message = found.filter(|message| message.stream_seq <= at.last);
    let last = message.as_ref().map_or(at.last, |found| found.stream_seq);

    Ok(Read {
        messages: message.into_iter().collect(),
        next: last + 1,
    })
}
