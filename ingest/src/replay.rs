//! Replays of a time range: reads a part of the streams again and submits every event once more.
//!
//! Owns: which job this worker is at, and the rhythm. A job's row is locked while a chunk is worked on, and how far the job
//! is commits with the effects, so that a restart, or another worker, continues where it stopped.

mod chunk;
mod part;
mod range;
mod reading;

use crate::context::Context;
use crate::failure::may_be_the_event;
use crate::stream::Message;
use crate::transaction::within_limit;
use chunk::{Chunk, Done};
use range::Fit;
use reading::Reading;
use std::collections::BTreeSet;
use std::time::Duration;
use tiris_domain::lane::EventStream;
use tiris_runtime::explain;
use tiris_store::error::Result;
use tiris_store::replay_jobs::{self, Job, Progress, ReplayCounts, StreamProgress};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// How often it is looked whether there is a job.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);
/// Messages of a chunk, which is one transaction; few, because lanes wait for it.
const MESSAGES_MAX: usize = 250;
/// Lanes of a chunk: each costs some statements, and all of them must fit the time a transaction may take.
const LANES_MAX: usize = 16;
/// Waits after a failure.
const FAILURE_WAIT_MIN: Duration = Duration::from_millis(100);
const FAILURE_WAIT_MAX: Duration = Duration::from_secs(30);

/// Works on replays.
#[derive(Debug)]
pub struct Replayer {
    context: Context,
    reading: Reading,
    /// Messages of the next chunk; shrinks while an unforeseen failure is searched, and when one took too long.
    limit: usize,
    /// The job that was looked at last.
    job: Option<Uuid>,
}

/// What a step did.
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
    pub fn new(context: Context) -> Self {
        Self {
            context,
            reading: Reading::default(),
            limit: MESSAGES_MAX,
            job: None,
        }
    }

    /// Works until `stop`; a chunk that was begun is rolled back then, and read again by the worker that continues.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut failure_wait = FAILURE_WAIT_MIN;

        loop {
            let step = tokio::select! {
                () = stop.cancelled() => return,
                step = self.step() => step,
            };
            let wait = match step {
                Ok(step) => {
                    failure_wait = FAILURE_WAIT_MIN;
                    if step == Step::Worked {
                        Duration::ZERO
                    } else {
                        LOOK_INTERVAL
                    }
                }
                Err(error) => {
                    tracing::warn!(error = %explain(&error), "a replay waits");
                    self.note_trouble(&explain(&error)).await;
                    failure_wait = (failure_wait * 2).min(FAILURE_WAIT_MAX);
                    failure_wait
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Does one chunk of the oldest job, or begins it.
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

    /// Stores what the job waits for. Best effort: the log has it too.
    async fn note_trouble(&self, why: &str) {
        let Some(job) = self.job else { return };

        let noted = within_limit(replay_jobs::note_trouble(&self.context.pool, job, why)).await;
        if let Err(error) = noted {
            tracing::debug!(error = %explain(&error), "could not note what a replay waits for");
        }
    }

    async fn try_step(&mut self) -> Result<Step> {
        if !replay_jobs::is_any_open(&self.context.pool).await? {
            return Ok(Step::Nothing);
        }
        // Looked at without keeping the lock: NATS is asked before the transaction begins.
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
        self.finish(&job).await
    }

    /// Finds the job's range in `stream`.
    async fn begin(&self, job: &Job, stream: EventStream) -> Result<Step> {
        let connection = &self.context.connection;
        let (at, gone) = range::find(connection, stream, job.start_time, job.end_time).await?;
        tracing::info!(job = %job.id, stream = stream.name(), first = at.first, last = at.last, "replay begins");
        let mut progress = job.progress.0.clone();
        progress.insert(stream.name().to_owned(), at);

        self.advance(job, &progress, gone.as_deref()).await
    }

    /// Passes over messages retention took, and records that.
    async fn skip(&mut self, job: &Job, stream: EventStream, to: u64, why: &str) -> Result<Step> {
        self.reading.close();
        let mut progress = job.progress.0.clone();
        if let Some(at) = progress.get_mut(stream.name()) {
            at.next = to.min(at.last + 1);
        }

        self.advance(job, &progress, Some(why)).await
    }

    /// Stores how far the job is, unless another worker was faster.
    async fn advance(&self, job: &Job, progress: &Progress, remark: Option<&str>) -> Result<Step> {
        let mut transaction = self.context.pool.begin().await?;
        if replay_jobs::lock_unchanged(&mut transaction, job)
            .await?
            .is_some()
        {
            let none = ReplayCounts::default();
            replay_jobs::advance(&mut transaction, job.id, progress, none, false).await?;
            if let Some(remark) = remark {
                tracing::warn!(job = %job.id, "{remark}");
                replay_jobs::remark(&mut transaction, job.id, remark).await?;
            }
            transaction.commit().await?;
        }
        Ok(Step::Worked)
    }

    async fn finish(&mut self, job: &Job) -> Result<Step> {
        self.reading.close();
        let mut transaction = self.context.pool.begin().await?;
        if let Some(now) = replay_jobs::lock_unchanged(&mut transaction, job).await? {
            let none = ReplayCounts::default();
            replay_jobs::advance(&mut transaction, job.id, &job.progress, none, true).await?;
            transaction.commit().await?;
            let Job {
                applied,
                duplicate,
                rejected,
                ..
            } = now;
            tracing::info!(job = %job.id, applied, duplicate, rejected, "replay is done");
        }
        Ok(Step::Worked)
    }

    async fn fail(&mut self, job: &Job, why: &str) -> Result<Step> {
        self.reading.close();
        let mut transaction = self.context.pool.begin().await?;
        if replay_jobs::lock_unchanged(&mut transaction, job)
            .await?
            .is_some()
        {
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
            // The rest is for the chunk after this one.
            next: left.first().map_or(read.next, |first| first.stream_seq),
        };
        let done = match chunk.commit(&self.context, None).await {
            Err(error) if may_be_the_event(&error) && taken > 1 => {
                self.limit = taken / 2;
                self.reading.close();
                tracing::warn!(job = %job.id, messages = taken, error = %explain(&error), "a replay failed, searching the event");
                return Ok(Step::Worked);
            }
            Err(error) if may_be_the_event(&error) && taken == 1 => {
                tracing::error!(job = %job.id, seq = at.next, error = %explain(&error), "a replayed event failed");
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
        match done {
            Done::Committed => {
                self.reading.advance(chunk.next, left);
                Ok(Step::Worked)
            }
            Done::Elsewhere => Ok(Step::Nothing),
        }
    }

    /// How many of `messages` the next chunk takes.
    fn take(&self, messages: &[Message]) -> usize {
        // A subject ends in lane and user; those without a user share one lane.
        let mut lanes = BTreeSet::new();
        let is_within = |message: &&Message| {
            lanes.insert(message.subject.rsplit('.').nth(1).map(str::to_owned));
            lanes.len() <= LANES_MAX
        };

        let limited = messages.iter().take(self.limit);
        limited.take_while(is_within).count()
    }
}
