//! Replays of a time range: reads a part of the streams again and submits every event once more.
//!
//! Owns: which job this worker is at, the reader, and the rhythm. A job's row is locked while a chunk is worked on, and
//! how far the job is commits with the effects, so that a restart, or another worker, goes on where it stopped. Must not
//! know: what a chunk does to the books.

mod chunk;
mod range;

use crate::blame;
use crate::context::Context;
use crate::lane::{describe, within_limit};
use crate::reader::{BatchLimits, Incoming, Range, Reader};
use crate::single;
use crate::stream::EventStream;
use chunk::{Chunk, Done};
use range::Fit;
use std::collections::BTreeSet;
use std::time::Duration;
use tiris_store::error::Result;
use tiris_store::replay_jobs::{self, Job, StreamProgress};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// How often it is looked whether there is a job.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);
/// Messages of a chunk, which is one transaction; few, because lanes wait for it.
const MESSAGES_MAX: usize = 250;
/// Lanes of a chunk: each costs some statements, and all of them must fit the time a transaction may take.
const LANES_MAX: usize = 16;
const BYTES_MAX: usize = 4 * 1024 * 1024;
/// This long a first message is waited for.
const READ_WAIT: Duration = Duration::from_secs(1);
/// After this many readers in a row that failed a message is read by the broker's API: it may be one that the client
/// cannot take delivery of. With every further one twice as many are, up to two to this power.
const FAILURES_MAX: u32 = 3;
const SINGLES_DOUBLINGS_MAX: u32 = 6;
/// Waits after trouble.
const TROUBLE_WAIT_MIN: Duration = Duration::from_millis(100);
const TROUBLE_WAIT_MAX: Duration = Duration::from_secs(30);

/// Works on replays.
#[derive(Debug)]
pub struct Replayer {
    context: Context,
    open: Option<Open>,
    /// Readers in a row that failed.
    failures: u32,
    /// Messages to be read by the broker's API before the next reader.
    singles_due: u32,
    /// Messages of the next chunk; shrinks while an unforeseen failure is searched, and when one took too long.
    limit: usize,
    /// The job that was looked at last.
    job: Option<Uuid>,
}

/// A reader, and where it stands.
#[derive(Debug)]
struct Open {
    job: Uuid,
    stream: EventStream,
    next: u64,
    reader: Reader,
    /// Read and not worked on.
    pending: Vec<Incoming>,
}

/// What a step came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Something was done, and there may be more.
    Worked,
    /// There is no job, or another worker is at it.
    Nothing,
}

impl Replayer {
    /// Ready to work.
    #[must_use]
    pub const fn new(context: Context) -> Self {
        Self {
            context,
            open: None,
            failures: 0,
            singles_due: 0,
            limit: MESSAGES_MAX,
            job: None,
        }
    }

    /// Works until `stop`; a chunk that was begun is rolled back then, and read again by whoever goes on.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut trouble_wait = TROUBLE_WAIT_MIN;
        loop {
            let step = tokio::select! {
                () = stop.cancelled() => return,
                step = self.step() => step,
            };
            let wait = match step {
                Ok(step) => {
                    trouble_wait = TROUBLE_WAIT_MIN;
                    if step == Step::Worked {
                        Duration::ZERO
                    } else {
                        LOOK_INTERVAL
                    }
                }
                Err(error) => {
                    tracing::warn!(error = %describe(&error), "a replay waits");
                    self.note_trouble(&describe(&error)).await;
                    trouble_wait = (trouble_wait * 2).min(TROUBLE_WAIT_MAX);
                    trouble_wait
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Does one chunk of the oldest job, or begins it.
    pub async fn step(&mut self) -> Result<Step> {
        let outcome = self.try_step().await;
        if outcome.is_err() {
            self.open = None;
        }
        outcome
    }

    /// Whoever asks how far the job is sees what it waits for. Best effort: the log has it too.
    async fn note_trouble(&self, why: &str) {
        let Some(job) = self.job else { return };
        if let Err(error) =
            within_limit(replay_jobs::note_trouble(&self.context.pool, job, why)).await
        {
            tracing::debug!(error = %describe(&error), "could not note what a replay waits for");
        }
    }

    async fn try_step(&mut self) -> Result<Step> {
        if !replay_jobs::is_any_open(&self.context.pool).await? {
            self.open = None;
            return Ok(Step::Nothing);
        }
        // Looked at without keeping the lock: NATS is asked before the transaction begins.
        let mut transaction = self.context.pool.begin().await?;
        let job = replay_jobs::lock_next(&mut transaction).await?;
        transaction.rollback().await?;
        let Some(job) = job else {
            self.open = None;
            return Ok(Step::Nothing);
        };
        self.job = Some(job.id);
        for stream in EventStream::ALL
            .into_iter()
            .filter(|stream| range::concerns(&job, *stream))
        {
            match job.progress.get(stream.name()) {
                None => return self.begin(&job, stream).await,
                Some(at) if at.next <= at.last => return self.work(&job, stream, *at).await,
                Some(_) => {}
            }
        }
        self.finish(&job).await
    }

    /// Finds the job's range in `stream`.
    async fn begin(&self, job: &Job, stream: EventStream) -> Result<Step> {
        let (at, gone) = range::find(
            &self.context.connection,
            stream,
            job.start_time,
            job.end_time,
        )
        .await?;
        let (first, last) = (at.first, at.last);
        tracing::info!(job = %job.id, stream = stream.name(), first, last, "replay begins");
        let mut progress = job.progress.0.clone();
        progress.insert(stream.name().to_owned(), at);
        let mut transaction = self.context.pool.begin().await?;
        let Some(now) = replay_jobs::lock_next(&mut transaction).await? else {
            return Ok(Step::Nothing);
        };
        if now.id == job.id && now.progress == job.progress {
            let outcome = replay_jobs::Outcome::default();
            replay_jobs::advance(&mut transaction, job.id, &progress, outcome, false).await?;
            if let Some(gone) = gone {
                tracing::warn!(job = %job.id, "{gone}");
                replay_jobs::remark(&mut transaction, job.id, &gone).await?;
            }
            transaction.commit().await?;
        }
        Ok(Step::Worked)
    }

    async fn finish(&mut self, job: &Job) -> Result<Step> {
        self.open = None;
        let mut transaction = self.context.pool.begin().await?;
        let Some(now) = replay_jobs::lock_next(&mut transaction).await? else {
            return Ok(Step::Nothing);
        };
        if now.id == job.id && now.progress == job.progress {
            let outcome = replay_jobs::Outcome::default();
            replay_jobs::advance(&mut transaction, job.id, &job.progress, outcome, true).await?;
            transaction.commit().await?;
            let (applied, duplicate, rejected) = (now.applied, now.duplicate, now.rejected);
            tracing::info!(job = %job.id, applied, duplicate, rejected, "replay is done");
        }
        Ok(Step::Worked)
    }

    async fn work(&mut self, job: &Job, stream: EventStream, at: StreamProgress) -> Result<Step> {
        match range::check(&self.context.connection, stream, &at).await? {
            Fit::Whole => {}
            Fit::Other(why) => return self.fail(job, &why).await,
            Fit::Gone(to, why) => return self.skip(job, stream, to, &why).await,
        }
        let read = self.read(job, stream, at).await?;
        let taken = self.take(&read.messages);
        let next = match read.messages.get(taken) {
            // The rest is for the next chunk.
            Some(first_left) => first_left.stream_seq,
            None => read.next,
        };
        let chunk = Chunk {
            job,
            stream,
            at,
            messages: &read.messages[..taken],
            next,
        };
        let outcome = match chunk.commit(&self.context, None).await {
            Err(error) if blame::may_be_the_event(&error) && taken > 1 => {
                self.limit = taken / 2;
                self.open = None;
                tracing::warn!(job = %job.id, messages = taken, error = %describe(&error), "a replay failed, searching the event");
                return Ok(Step::Worked);
            }
            Err(error) if blame::may_be_the_event(&error) && taken == 1 => {
                tracing::error!(job = %job.id, seq = at.next, error = %describe(&error), "a replayed event failed");
                chunk.commit(&self.context, Some(&error)).await?
            }
            Err(error) => {
                // Smaller, because it may have been too much for a limit of time.
                self.limit = (taken / 2).max(1);
                return Err(error);
            }
            Ok(done) => done,
        };
        self.limit = MESSAGES_MAX;
        match outcome {
            Done::Committed => {
                if let Some(open) = &mut self.open {
                    open.next = next;
                    open.pending = read.messages.into_iter().skip(taken).collect();
                }
                Ok(Step::Worked)
            }
            Done::Elsewhere => {
                self.open = None;
                Ok(Step::Nothing)
            }
        }
    }

    /// How many of `messages` the next chunk takes.
    fn take(&self, messages: &[Incoming]) -> usize {
        // A subject ends in lane and user; those without a user share one lane.
        let mut lanes = BTreeSet::new();
        let is_within = |message: &&Incoming| {
            lanes.insert(message.subject.rsplit('.').nth(1).map(str::to_owned));
            lanes.len() <= LANES_MAX
        };
        messages
            .iter()
            .take(self.limit)
            .take_while(is_within)
            .count()
    }

    /// Passes over messages retention took, and says so.
    async fn skip(&mut self, job: &Job, stream: EventStream, to: u64, why: &str) -> Result<Step> {
        self.open = None;
        let mut transaction = self.context.pool.begin().await?;
        let Some(now) = replay_jobs::lock_next(&mut transaction).await? else {
            return Ok(Step::Nothing);
        };
        let mut progress = now.progress.0.clone();
        if now.id == job.id
            && now.progress == job.progress
            && let Some(at) = progress.get_mut(stream.name())
        {
            at.next = to.min(at.last + 1);
            let outcome = replay_jobs::Outcome::default();
            replay_jobs::advance(&mut transaction, job.id, &progress, outcome, false).await?;
            replay_jobs::remark(&mut transaction, job.id, why).await?;
            transaction.commit().await?;
            tracing::warn!(job = %job.id, "{why}");
        }
        Ok(Step::Worked)
    }

    async fn fail(&mut self, job: &Job, why: &str) -> Result<Step> {
        self.open = None;
        let mut transaction = self.context.pool.begin().await?;
        let Some(now) = replay_jobs::lock_next(&mut transaction).await? else {
            return Ok(Step::Nothing);
        };
        if now.id == job.id && now.progress == job.progress {
            replay_jobs::fail(&mut transaction, job.id, why).await?;
            transaction.commit().await?;
            tracing::error!(job = %job.id, why, "replay failed");
        }
        Ok(Step::Worked)
    }

    /// The next messages of the range, and where the chunk after them begins.
    async fn read(&mut self, job: &Job, stream: EventStream, at: StreamProgress) -> Result<Read> {
        let here = (job.id, stream, at.next);
        if self
            .open
            .as_ref()
            .is_none_or(|open| (open.job, open.stream, open.next) != here)
        {
            if self.singles_due > 0 {
                self.singles_due -= 1;
                return self.read_single(stream, at).await;
            }
            let user = job.user_id;
            let range = Range::of_replay(stream, job.id, rand::random(), at.next, user);
            let reader = Reader::open(&self.context.connection, range).await?;
            self.open = Some(Open {
                job: job.id,
                stream,
                next: at.next,
                reader,
                pending: Vec::new(),
            });
        }
        let read = self.read_on(at).await;
        if read.is_ok() {
            self.failures = 0;
        } else {
            self.failures = self.failures.saturating_add(1);
            if let Some(doublings) = self.failures.checked_sub(FAILURES_MAX) {
                self.singles_due = 1 << doublings.min(SINGLES_DOUBLINGS_MAX);
            }
        }
        read
    }

    async fn read_on(&mut self, at: StreamProgress) -> Result<Read> {
        let Some(open) = &mut self.open else {
            return Ok(Read::nothing(at));
        };
        let connection = &self.context.connection;
        let mut messages = std::mem::take(&mut open.pending);
        if messages.is_empty() {
            let limits = BatchLimits {
                events: MESSAGES_MAX,
                bytes: BYTES_MAX,
            };
            messages = open
                .reader
                .next_batch(connection, limits, READ_WAIT)
                .await?;
        }
        if messages.is_empty() {
            let left = open.reader.check_idle(connection).await?;
            let is_over = left == 0 && open.reader.is_complete();
            return Ok(if is_over {
                Read {
                    messages,
                    next: at.last + 1,
                }
            } else {
                Read::nothing(at)
            });
        }
        let is_over = messages.iter().any(|message| message.stream_seq > at.last);
        messages.retain(|message| message.stream_seq <= at.last);
        let behind = messages.last().map_or(at.next, |last| last.stream_seq + 1);
        Ok(Read {
            messages,
            next: if is_over { at.last + 1 } else { behind },
        })
    }

    async fn read_single(&self, stream: EventStream, at: StreamProgress) -> Result<Read> {
        let all = [">".to_owned()];
        let found = single::first_from(&self.context.connection, stream, at.next, &all).await?;
        let message = found.filter(|message| message.stream_seq <= at.last);
        let next = message
            .as_ref()
            .map_or(at.last, |message| message.stream_seq)
            + 1;
        Ok(Read {
            messages: message.into_iter().collect(),
            next,
        })
    }
}

struct Read {
    messages: Vec<Incoming>,
    next: u64,
}

impl Read {
    const fn nothing(at: StreamProgress) -> Self {
        Self {
            messages: Vec::new(),
            next: at.next,
        }
    }
}
