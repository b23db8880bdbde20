//! One lane: reads its part of a stream and commits each batch together with the lane's position.
//!
//! [`Lane::step`] does one batch. The truth is in the database: a lane killed at any instant continues from its cursor, and
//! what it had read and not committed is read again.

mod commit;
mod counts;
mod idle;
mod mixed_subjects;
mod position;
mod prefetch;
mod report;
mod retry;
mod source;
mod traces;
mod verify;

pub use counts::Counts;
pub(crate) use source::Failures;
pub(crate) use verify::restart;

use crate::context::Context;
use crate::failure::may_be_the_event;
use crate::plan::Item;
use crate::status::{Condition, Lag};
use crate::stream::{Mismatch, state_of};
use crate::transaction::within_limit;
use commit::Commit;
use idle::{Idle, IdleMove};
use mixed_subjects::MixedSubjects;
use position::LanePosition;
use rand::RngExt;
use report::Report;
use retry::{Retries, Round};
use source::Source;
use std::time::{Duration, Instant};
use tiris_domain::lane::LaneKey;
use tiris_runtime::{explain, telemetry};
use tiris_store::error::{Error, Result};
use tiris_store::lanes::{self, LaneState};
use tiris_store::ledger::Disposition;
use tokio_util::sync::CancellationToken;
use traces::Traces;
use tracing::{Instrument, error_span};
use verify::Verified;

/// A lane that is halted looks again after this time.
const HALTED_WAIT: Duration = Duration::from_secs(5);
/// First and longest wait before the lane tries again after a transient failure.
const BACKOFF_MIN: Duration = Duration::from_millis(50);
const BACKOFF_MAX: Duration = Duration::from_secs(30);

/// What a step did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A batch is committed with the cursor behind it, or retried letters are.
    Committed(Counts),
    /// Nothing is committed: an event fails, and the next step searches it in a smaller batch.
    Narrowed,
    /// Nothing is committed: the cursor was moved in the database, and the lane follows it.
    Followed,
    /// Nothing came.
    Idle,
    /// A part we need is down; the same batch is tried again after a wait.
    Waiting(String),
    /// Cursor and stream do not belong together; nothing is read until that is settled.
    Halted(Mismatch),
    /// Another worker has the lane.
    Lost,
}

/// One lane in the hands of this worker.
#[derive(Debug)]
pub struct Lane {
    context: Context,
    position: LanePosition,
    source: Source,
    /// Read and not committed, in stream order.
    pending: Vec<Item>,
    /// How many of `pending` the next transaction takes; shrinks while an unforeseen failure is searched.
    attempt: usize,
    /// The last message that was read.
    read_up_to: u64,
    retries: Retries,
    mixed_subjects: MixedSubjects,
    idle: Idle,
    backoff: Duration,
    /// The mismatch of cursor and stream that was reported.
    reported: Option<Mismatch>,
}

impl Lane {
    /// A lane this worker has taken, which continues from `state`.
    #[must_use]
    pub fn new(context: Context, key: LaneKey, state: &LaneState) -> Self {
        context.board.set(key, Condition::Starting);
        Self {
            position: LanePosition::new(key, context.owner, state),
            context,
            source: Source::default(),
            pending: Vec::new(),
            attempt: 0,
            read_up_to: 0,
            retries: Retries::default(),
            mixed_subjects: MixedSubjects::default(),
            idle: Idle::default(),
            backoff: BACKOFF_MIN,
            reported: None,
        }
    }

    /// Takes the lane from its owner.
    ///
    /// # Errors
    /// Failures of NATS and the database.
    pub async fn seize(context: Context, key: LaneKey) -> Result<Self> {
        let found = state_of(&context.connection, key.stream).await?;
        lanes::ensure(&context.pool, &[key], found.created_at).await?;
        let state = lanes::seize(&context.pool, key, context.owner, context.lease).await?;

        Ok(Self::new(context, key, &state))
    }

    /// Everything up to this stream sequence is done.
    #[must_use]
    pub const fn cursor(&self) -> u64 {
        self.position.cursor
    }

    /// Steps until `stop`, or until another worker has the lane. Returns false then.
    pub async fn run(mut self, stop: CancellationToken) -> bool {
        let key = self.position.key;
        while !stop.is_cancelled() {
            let step = self.step(&stop).await;
            let mut wait = Duration::ZERO;
            let condition = match &step {
                Step::Committed(_) | Step::Narrowed | Step::Followed | Step::Idle => {
                    Condition::Running
                }
                Step::Waiting(why) => {
                    wait = self.next_backoff();
                    Condition::Waiting(why.clone())
                }
                Step::Halted(mismatch) => {
                    wait = HALTED_WAIT;
                    Condition::Halted(*mismatch)
                }
                Step::Lost => {
                    tracing::warn!(lane = %key, epoch = self.position.epoch, "another worker has the lane");
                    return false;
                }
            };

            if self.context.board.set(key, condition.clone()) {
                match condition {
                    Condition::Waiting(why) => tracing::warn!(lane = %key, %why, "lane waits"),
                    Condition::Running => self.log_running(),
                    // Reported where it was found.
                    Condition::Halted(_) | Condition::Starting => {}
                }
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
        true
    }

    fn log_running(&self) {
        tracing::info!(lane = %self.position.key, cursor = self.position.cursor, "lane runs");
    }

    fn next_backoff(&mut self) -> Duration {
        let wait = self.backoff;
        self.backoff = (wait * 2).min(BACKOFF_MAX);
        // Between half and all of it, so that lanes do not come back all at once.
        rand::rng().random_range(wait / 2..=wait)
    }

    /// Does one batch: letters whose turn it is before anything else, else messages, read unless the last ones are still
    /// to be committed, together with the cursor. While it waits for messages it heeds `stop`; a batch that was begun is
    /// finished.
    pub async fn step(&mut self, stop: &CancellationToken) -> Step {
        // Without a reader NATS may be down, or the lane halted; letters need neither.
        if (self.retries.are_under_way() || !self.source.is_open())
            && let Some(step) = self.retry_due().await
        {
            return step;
        }

        if self.pending.is_empty() {
            let read = tokio::select! {
                () = stop.cancelled() => {
                    // A batch may have been under way to us.
                    self.source.close();
                    return Step::Idle;
                }
                read = self.read() => read,
            };
            match read {
                Ok(Some(hindrance)) => return hindrance,
                Ok(None) => {}
                Err(error) => return self.doubt(&error),
            }
        }
        if let Some(step) = self.retry_due().await {
            return step;
        }
        if self.pending.is_empty() {
            self.advance_idle().await
        } else {
            self.commit_pending().await
        }
    }

    fn doubt(&mut self, error: &Error) -> Step {
        self.source.doubt();
        Step::Waiting(explain(error))
    }

    /// Fills `pending`. Returns a step when the lane is not ours or the stream not the cursor's.
    async fn read(&mut self) -> Result<Option<Step>> {
        if !self.source.is_open()
            && let Some(hindrance) = within_limit(self.verify()).await?
        {
            return Ok(Some(hindrance));
        }

        self.pending = match self.source.open(&self.context, &self.position).await? {
            Some(single) => vec![single],
            None => {
                // Before a message comes, so that the lane is known to be ready for it.
                if self.context.board.set_started(self.position.key) {
                    self.log_running();
                }
                self.source.next_batch().await?
            }
        };
        self.attempt = self.pending.len();
        self.count_redeliveries();
        self.measure_lag(None);
        Ok(None)
    }

    /// Before a reader is opened. Returns a step when the lane must not read.
    async fn verify(&mut self) -> Result<Option<Step>> {
        let stream_before = self.position.stream_created_at;
        let verified = verify::verify(&self.context, &mut self.position).await;
        self.forget_read_of(stream_before);
        let last_seq = match verified? {
            Verified::Lost => return Ok(Some(Step::Lost)),
            Verified::Ready(last_seq) => last_seq,
            Verified::Mismatch(mismatch, stream) => {
                if self.reported.replace(mismatch) != Some(mismatch) {
                    verify::report(&self.position, mismatch);
                }
                if !verify::is_accepted(&self.context, mismatch) {
                    self.bound_lag(stream.last_seq);
                    return Ok(Some(Step::Halted(mismatch)));
                }
                let accepted =
                    verify::accept(&self.context, &mut self.position, mismatch, &stream).await?;
                if !accepted {
                    return Ok(Some(Step::Lost));
                }
                stream.last_seq
            }
        };

        self.forget_read_of(stream_before);
        self.reported = None;
        self.bound_lag(last_seq);
        Ok(None)
    }

    /// The messages of another stream are others.
    fn forget_read_of(&mut self, stream_created_at: i64) {
        if self.position.stream_created_at != stream_created_at {
            self.read_up_to = 0;
        }
    }

    fn count_redeliveries(&mut self) {
        let sequences = self.pending.iter().map(|item| item.message.stream_seq);
        let again = sequences.clone().filter(|seq| *seq <= self.read_up_to);
        metrics::counter!("ingest_redeliveries_total", "stream" => self.position.key.stream.name())
            .increment(again.map(|_| 1).sum());
        self.read_up_to = sequences.fold(self.read_up_to, u64::max);
    }

    /// Reports how far the lane is behind. `done_at`: when the broker took the last message committed.
    fn measure_lag(&self, done_at: Option<i64>) {
        let Some(backlog) = self.source.backlog() else {
            return;
        };
        let (Some(behind), Ok(pending)) = (backlog.messages, u64::try_from(self.pending.len()))
        else {
            return;
        };

        let first = self.pending.first().map(|item| item.message.broker_time);
        let messages = behind + pending;
        let lag = if messages == 0 {
            Lag::NONE
        } else {
            Lag {
                messages: Some(messages),
                exact: true,
                // The next message is younger than the last one, until it is read.
                oldest: first.or(backlog.oldest).or(done_at),
            }
        };
        self.context.board.set_lag(self.position.key, lag);
    }

    /// Without a reader nothing better is known of the lag than what the stream holds behind the cursor.
    fn bound_lag(&self, last_seq: u64) {
        let messages = last_seq.saturating_sub(self.position.cursor);
        let lag = Lag {
            messages: Some(messages),
            exact: messages == 0,
            oldest: None,
        };
        self.context.board.set_lag(self.position.key, lag);
    }

    /// Tries the letters whose turn it is; none when there are none, or it is not the time to look.
    async fn retry_due(&mut self) -> Option<Step> {
        match self.retries.run(&self.context, &self.position).await {
            Ok(Round::Nothing) => None,
            Ok(Round::Done(retried)) => {
                self.backoff = BACKOFF_MIN;
                self.context.connection.wake_untraced(&retried.users);
                Some(Step::Committed(Counts {
                    applied: retried.applied,
                    ..Counts::default()
                }))
            }
            Ok(Round::Narrowed) => Some(Step::Narrowed),
            Ok(Round::Lost) => Some(Step::Lost),
            Err(error) => Some(Step::Waiting(explain(&error))),
        }
    }

    async fn advance_idle(&mut self) -> Step {
        self.backoff = BACKOFF_MIN;
        let moving = self
            .idle
            .advance(&self.context, &mut self.position, &mut self.source);
        match within_limit(moving).await {
            Ok(IdleMove::Done) => Step::Idle,
            Ok(IdleMove::Moved(state)) => {
                self.follow(&state);
                Step::Followed
            }
            Ok(IdleMove::Lost) => Step::Lost,
            Err(error) => self.doubt(&error),
        }
    }

    /// Commits what is pending, or a part of it, as a part of the trace it belongs to.
    async fn commit_pending(&mut self) -> Step {
        let taken = self.attempt.clamp(1, self.pending.len());
        let traces = Traces::of(&self.pending[..taken]);
        let trace = traces.batch().clone();
        // Of the highest level, so that the id is there whatever is logged.
        let span = error_span!("batch", trace_id = trace.id(), lane = %self.position.key, otel.kind = "consumer");
        telemetry::open(&span, &trace);
        telemetry::link(&span, traces.links());
        trace
            .scope(self.commit(taken, &traces).instrument(span))
            .await
    }

    async fn commit(&mut self, taken: usize, traces: &Traces) -> Step {
        let started = Instant::now();
        let items = &self.pending[..taken];
        let mut result = commit::commit(&self.context, &self.position, items, None).await;
        if let Err(error) = &result {
            let is_the_event = may_be_the_event(error);
            if taken > 1 {
                self.count_failure();
                // Smaller, also when no event is the reason: what was too much for a limit of time then fits it.
                self.attempt = taken / 2;
                if is_the_event {
                    tracing::warn!(lane = %self.position.key, events = taken, error = %explain(error), "batch failed, searching the event");
                    return Step::Narrowed;
                }
            } else if is_the_event {
                tracing::error!(lane = %self.position.key, seq = items[0].message.stream_seq, error = %explain(error), "event failed");
                result = commit::commit(&self.context, &self.position, items, Some(error)).await;
            }
        }

        match result {
            Ok(Commit::Done(dispositions)) => {
                self.finish(taken, &dispositions, traces, started).await
            }
            Ok(Commit::Moved(state)) => {
                self.follow(&state);
                Step::Followed
            }
            Ok(Commit::Lost) => Step::Lost,
            Err(error) => {
                self.count_failure();
                Step::Waiting(explain(&error))
            }
        }
    }

    fn count_failure(&self) {
        let stream = self.position.key.stream.name();
        metrics::counter!("ingest_batch_failures_total", "stream" => stream).increment(1);
    }

    /// After the commit of the first `taken` pending messages.
    async fn finish(
        &mut self,
        taken: usize,
        dispositions: &[Disposition],
        traces: &Traces,
        started: Instant,
    ) -> Step {
        let items = &self.pending[..taken];
        let users = traces.by_user(items);
        self.context.connection.wake(&users);
        let report = Report {
            key: self.position.key,
            items,
            dispositions,
            traces,
            started,
        };
        let counts = report.write();

        let last = self.pending.drain(..taken).next_back();
        if let Some(last) = last {
            self.position.advance(&last.message);
            self.measure_lag(Some(last.message.broker_time));
        }
        self.attempt = self.pending.len();
        self.backoff = BACKOFF_MIN;
        let users = users.into_keys();
        self.mixed_subjects
            .note(&self.context, self.position.key, users)
            .await;
        Step::Committed(counts)
    }

    /// The cursor is not where we left it: a commit whose answer was lost came through, or the database was restored
    /// to an earlier state. Either way the database is right.
    fn follow(&mut self, state: &LaneState) {
        let from = self.position.cursor;
        let to = state.cursor;
        tracing::info!(lane = %self.position.key, from, to, "cursor moved, following the database");
        let mut sequences = self.pending.iter().map(|item| item.message.stream_seq);
        if to > from && sequences.any(|seq| seq == to) {
            self.pending.retain(|item| item.message.stream_seq > to);
        } else {
            self.pending.clear();
            self.source.close();
        }
        self.attempt = self.pending.len();
        if self.position.stream_created_at != state.stream_created_at {
            self.read_up_to = 0;
        }
        self.position.follow(state);
    }
}
