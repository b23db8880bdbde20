//! Reads the messages of a replay, and gets past one that no reader can take.

use crate::connection::Connection;
use crate::lane::Failures;
use crate::stream::{BatchLimits, Message, Range, Reader, first_from};
use std::time::Duration;
use tiris_domain::lane::EventStream;
use tiris_store::error::Result;
use tiris_store::replay_jobs::{Job, StreamProgress};
use uuid::Uuid;

/// How much is read at once.
const LIMITS: BatchLimits = BatchLimits {
    events: 250,
    bytes: 4 * 1024 * 1024,
};
/// This long a first message is waited for.
const READ_WAIT: Duration = Duration::from_secs(1);

/// A reader that is kept from chunk to chunk.
#[derive(Debug, Default)]
pub(super) struct Reading {
    open: Option<Open>,
    failures: Failures,
}

/// A reader, and where it stands.
#[derive(Debug)]
struct Open {
    job: Uuid,
    stream: EventStream,
    next: u64,
    reader: Reader,
    /// Read and not worked on.
    pending: Vec<Message>,
}

/// Messages, and where the chunk after them begins.
pub(super) struct Read {
    pub(super) messages: Vec<Message>,
    pub(super) next: u64,
}

impl Reading {
    /// Gives the reader up with all it has read.
    pub(super) fn close(&mut self) {
        self.open = None;
    }

    /// What was read up to `next` is done, but for the messages that are `left`.
    pub(super) fn advance(&mut self, next: u64, left: Vec<Message>) {
        if let Some(open) = &mut self.open {
            open.next = next;
            open.pending = left;
        }
    }

    /// The next messages of the range.
    pub(super) async fn next(
        &mut self,
        connection: &Connection,
        job: &Job,
        stream: EventStream,
        at: StreamProgress,
    ) -> Result<Read> {
        let is_here =
            |open: &Open| open.job == job.id && open.stream == stream && open.next == at.next;
        if !self.open.as_ref().is_some_and(is_here) {
            if self.failures.singles_due > 0 {
                self.failures.singles_due -= 1;
                return read_single(connection, stream, at).await;
            }
            let range = Range::of_replay(stream, job.id, rand::random(), at.next, job.user_id);
            self.open = Some(Open {
                job: job.id,
                stream,
                next: at.next,
                reader: Reader::open(connection, range).await?,
                pending: Vec::new(),
            });
        }

        let read = self.read_on(connection, at).await;
        if read.is_ok() {
            self.failures.reset();
        } else {
            self.failures.add();
        }
        read
    }

    async fn read_on(&mut self, connection: &Connection, at: StreamProgress) -> Result<Read> {
        let nothing = Read {
            messages: Vec::new(),
            next: at.next,
        };
        let end = at.last + 1;
        let Some(open) = &mut self.open else {
            return Ok(nothing);
        };
        let mut messages = std::mem::take(&mut open.pending);
        if messages.is_empty() {
            let next = open.reader.next_batch(connection, LIMITS, READ_WAIT);
            messages = next.await?;
        }
        if messages.is_empty() {
            let left = open.reader.check_idle(connection).await?;
            let is_over = left == 0 && open.reader.is_complete();
            return Ok(if is_over {
                Read {
                    messages,
                    next: end,
                }
            } else {
                nothing
            });
        }

        let is_over = messages.iter().any(|message| message.stream_seq > at.last);
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
    let seq = message
        .as_ref()
        .map_or(at.last, |message| message.stream_seq);

    Ok(Read {
        messages: message.into_iter().collect(),
        next: seq + 1,
    })
}
