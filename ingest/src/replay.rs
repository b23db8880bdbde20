//! Replays of a time range: reads a part of the streams again and submits every event once more.
//!
//! Owns which job this worker runs. A job's row is locked while a chunk is processed, and its progress commits with the effects,
//! so that any worker can continue where another stopped.

mod chunk;
mod part;
mod range;
mod reading;

use crate::context::Context;
use crate::failure::may_be_the_event;
use crate::stream::Message;
use crate::transaction::within_limit;
use chunk::Chunk;
use range::Fit;
use reading::Reading;
use std::collections::BTreeSet;
use std::time::Duration;
use tiris_domain::lane::EventStream;
use tiris_runtime::explain;
use tiris_store::error::Result;
use tiris_store::replay_jobs::{self, Job, Progress, ReplayCounts, StreamProgress};
use uuid::Uuid;

/// How often the worker looks for a job.
const CHECK_INTERVAL: Duration = Duration::from_secs(2);
/// Messages of a chunk, which is one transaction; few, because lanes wait for it.
const MESSAGES_MAX: usize = 250;
/// Lanes of a chunk: each costs some statements, which must all fit the time limit of a transaction.
const LANES_MAX: usize = 16;
/// Shortest and longest wait after a failure.
const FAILURE_WAIT_MIN: Duration = Duration::from_millis(100);
const FAILURE_WAIT_MAX: Duration = Duration::from_secs(30);

/// Runs replays.
pub struct Replayer {
    context: Context,
    reading: Reading,
    /// Messages of the next chunk; shrinks while the cause of an unexpected failure is searched for, and after a timeout.
    limit: usize,
    /// The last job.
    job: Option<Uuid>,
}

/// The outcome of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The job made progress; there may be more to do.
    Worked,
    /// There is no job, or another worker runs it.
    Nothing,
}

impl Replayer {
    /// Returns a replayer without a job.
    #[must_use]
    pub fn new(context: Context) -> Self {
        Self {
            context,
            reading: Reading::default(),
            limit: MESSAGES_MAX,
            job: None,
        }
    }

    /// Works forever. A chunk that is interrupted is rolled back, and read again by the worker that continues.
    pub(crate) async fn run(mut self) {
        let mut failure_wait = FAILURE_WAIT_MIN;

        loop {
            let wait = match self.step().await {
                Ok(step) => {
                    failure_wait = FAILURE_WAIT_MIN;
                    if step == Step::Worked {
                        Duration::ZERO
                    } else {
                        CHECK_INTERVAL
                    }
                }
                Err(error) => {
                    let why = explain(&error);
                    tracing::warn!(error = %why, "a replay waits");
                    self.note_trouble(&why).await;
                    failure_wait = (failure_wait * 2).min(FAILURE_WAIT_MAX);
                    failure_wait
                }
            };
            tokio::time::sleep(wait).await;
        }
    }

    /// Processes one chunk of the oldest job, or begins the job.
    ///
    /// # Errors
    /// Failures of NATS and the database.
    pub async fn step(&mut self) -> Result<Step> {
        let step = self.try_step().await;
        if !matches!(step, Ok(Step::Worked)) {
            self.reading.close();
        }
        step
    }

    /// Stores why the job waits. Best effort: the log has it too.
    async fn note_trouble(&self, why: &str) {
        let Some(job) = self.job else { return };

        let noted = within_limit(replay_jobs::note_trouble(&self.context.pool, job, why)).await;
        if let Err(error) = noted {
            tracing::debug!(error = %explain(&error), "could not store why a replay waits");
        }
    }

    async fn try_step(&mut self) -> Result<Step> {
        if !replay_jobs::is_any_open(&self.context.pool).await? {
            return Ok(Step::Nothing);
        }
        // The lock is released, because NATS is read before the transaction of the chunk begins.
        let mut transaction = self.context.pool.begin().await?;
        let job = replay_jobs::lock_next(&mut transaction).await?;
        transaction.rollback().await?;
        let Some(job) = job else {
            return Ok(Step::Nothing);
        };

        self.job = Some(job.id);
        for stream in EventStream::ALL {
            match job.progress.get(stream.name()) {
                _ if !range::concerns(&job, stream) => {}
                None => return self.begin(&job, stream).await,
                Some(at) if at.next <= at.last => return self.work(&job, stream, *at).await,
                Some(_) => {}
            }
        }
        self.reading.close();

        // A stream that only a newer version knows is left to a worker of that version.
        if job.progress.values().any(|at| at.next <= at.last) {
            self.note_trouble("waits for a worker of a newer version, which knows all its streams")
                .await;
            return Ok(Step::Nothing);
        }
        self.advance(&job, &job.progress, None, true).await
    }

    /// Finds the job's range in `stream`.
    async fn begin(&self, job: &Job, stream: EventStream) -> Result<Step> {
        let connection = &self.context.connection;
        let (at, gone) = range::find(connection, stream, job.start_time, job.end_time).await?;
        tracing::info!(job = %job.id, stream = stream.name(), first = at.first, last = at.last, "replay begins");
        let mut progress = job.progress.0.clone();
        progress.insert(stream.name().to_owned(), at);

        self.advance(job, &progress, gone.as_deref(), false).await
    }

    /// Skips messages that retention deleted, and stores a remark about it.
    async fn skip(&mut self, job: &Job, stream: EventStream, to: u64, why: &str) -> Result<Step> {
        self.reading.close();
        let mut progress = job.progress.0.clone();
        if let Some(at) = progress.get_mut(stream.name()) {
            at.next = to.min(at.last + 1);
        }

        self.advance(job, &progress, Some(why), false).await
    }

    /// Stores the progress of the job, unless another worker was faster.
    async fn advance(
        &self,
        job: &Job,
        progress: &Progress,
        remark: Option<&str>,
        is_done: bool,
    ) -> Result<Step> {
        let mut transaction = self.context.pool.begin().await?;
        let Some(stored) = replay_jobs::lock_unchanged(&mut transaction, job).await? else {
            return Ok(Step::Worked);
        };

        let none = ReplayCounts::default();
        replay_jobs::advance(&mut transaction, job.id, progress, none, is_done).await?;
        if let Some(remark) = remark {
            tracing::warn!(job = %job.id, "{remark}");
            replay_jobs::remark(&mut transaction, job.id, remark).await?;
        }
        transaction.commit().await?;
        if is_done {
            tracing::info!(job = %job.id, applied = stored.applied, duplicate = stored.duplicate, rejected = stored.rejected, "replay is done");
        }
        Ok(Step::Worked)
    }

    async fn fail(&mut self, job: &Job, why: &str) -> Result<Step> {
        self.reading.close();
        let mut transaction = self.context.pool.begin().await?;
        let stored = replay_jobs::lock_unchanged(&mut transaction, job).await?;
        if stored.is_some() {
            replay_jobs::fail(&mut transaction, job.id, why).await?;
            transaction.commit().await?;
            tracing::error!(job = %job.id, why, "replay failed");
        }
        Ok(Step::Worked)
    }

    async fn work(&mut self, job: &Job, stream: EventStream, at: StreamProgress) -> Result<Step> {
        match range::check(&self.context.connection, stream, &at).await? {
            Fit::Whole => {}
            Fit::Other(why) => return self.fail(job, &why).await,
            Fit::Gone(to, why) => return self.skip(job, stream, to, &why).await,
        }

        let connection = &self.context.connection;
        let mut read = self.reading.next(connection, job, stream, at).await?;
        let left = read.messages.split_off(self.take(&read.messages));
        let taken = read.messages.len();
        let chunk = Chunk {
            job,
            stream,
            at,
            messages: &read.messages,
            // The next chunk takes the rest.
            next: left.first().map_or(read.next, |first| first.stream_seq),
        };
        let is_committed = match chunk.commit(&self.context, None).await {
            Err(error) if may_be_the_event(&error) && taken > 1 => {
                self.limit = taken / 2;
                self.reading.close();
                tracing::warn!(job = %job.id, messages = taken, error = %explain(&error), "a replay failed; searching for the event");
                return Ok(Step::Worked);
            }
            Err(error) if may_be_the_event(&error) && taken == 1 => {
                tracing::error!(job = %job.id, seq = at.next, error = %explain(&error), "a replayed event failed");
                chunk.commit(&self.context, Some(&error)).await?
            }
            Err(error) => {
                // The chunk may have exceeded a time limit.
                self.limit = (taken / 2).max(1);
                return Err(error);
            }
            Ok(is_committed) => is_committed,
        };

        self.limit = MESSAGES_MAX;
        if !is_committed {
            return Ok(Step::Nothing);
        }
        self.reading.advance(chunk.next, left);
        Ok(Step::Worked)
    }

    /// Returns how many of `messages` the next chunk takes.
    fn take(&self, messages: &[Message]) -> usize {
        // A subject ends in lane and user; subjects without a user share one lane.
        let mut lanes = BTreeSet::new();
        let is_within = |message: &&Message| {
            lanes.insert(message.subject.rsplit('.').nth(1).map(str::to_owned));
            lanes.len() <= LANES_MAX
        };

        let limited = messages.iter().take(self.limit);
        limited.take_while(is_within).count()
    }
}
