//! One lane: reads its part of a stream and commits each batch together with the lane's position.
//!
//! [`Lane::step`] processes one batch. The database holds the truth: a lane that is killed continues from its stored cursor
//! and reads the uncommitted messages again.

mod commit;
mod detour_step;
mod detours;
mod idle;
mod mixed_subjects;
mod pace;
mod position;
mod prefetch;
mod quota;
mod report;
mod retry;
mod share;
mod source;
mod traces;
mod verify;

pub use report::Counts;
pub(crate) use source::Failures;
pub(crate) use verify::restart;

use crate::context::Context;
use crate::plan::Item;
use crate::status::{Condition, Lag};
use crate::stream::Mismatch;
use crate::transaction::within_limit;
use detours::Detours;
use idle::Idle;
use mixed_subjects::MixedSubjects;
use pace::Pace;
use position::{Interrupt, LanePosition};
use quota::Quotas;
use rand::RngExt;
use retry::{Retries, Round};
use source::Source;
use std::time::{Duration, Instant};
use tiris_domain::lane::LaneKey;
use tiris_runtime::explain;
use tiris_store::lanes::LaneState;
use tokio_util::sync::CancellationToken;

/// How often a halted lane verifies its position again.
const HALTED_WAIT: Duration = Duration::from_secs(5);
/// Shortest and longest wait before a retry after a transient failure.
const BACKOFF_MIN: Duration = Duration::from_millis(50);
const BACKOFF_MAX: Duration = Duration::from_secs(30);
/// Longest wait while the database cannot be reached: after a failover the lanes continue within seconds.
const RECONNECT_MAX: Duration = Duration::from_secs(2);
/// How long the transaction of a batch should take: other users of the lane wait for it.
const BATCH_TARGET: Duration = Duration::from_millis(250);
/// The same for messages of users who exceed their quota, for which others wait too.
const DETOUR_TARGET: Duration = Duration::from_millis(100);
/// How many of these are read at first, and at least.
const DETOUR_GETS: u64 = 16;
const DETOUR_GETS_LEAST: u64 = 4;
/// The weight of the first batch of a lane: more than 500 usual events.
const BATCH_WEIGHT: u64 = 1024 * 1024;
/// The weight that a slow batch leaves to the next: a longest event, or 30 usual ones.
const BATCH_WEIGHT_LEAST: u64 = 64 * 1024;
/// How long a read waits for its first message.
const READ_WAIT: Duration = Duration::from_secs(1);
/// The same while other work is left: messages that have arrived are there at once.
const READ_WAIT_BETWEEN: Duration = Duration::from_millis(2);

/// The outcome of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A batch was committed together with the cursor, or retried dead letters were.
    Committed(Counts),
    /// Nothing was committed: an event fails, and the next step searches for it in a smaller batch.
    Narrowed,
    /// Nothing was committed: the cursor was moved in the database, and the lane continues from there.
    Followed,
    /// No message arrived.
    Idle,
    /// NATS or the database is unavailable, for this reason; the same batch is retried after a wait.
    Waiting(String),
    /// Cursor and stream do not match; nothing is read until that is resolved.
    Halted(Mismatch),
    /// Another worker owns the lane.
    Lost,
}

/// A lane of this worker.
#[derive(Debug)]
pub struct Lane {
    context: Context,
    position: LanePosition,
    source: Source,
    /// Messages that were read and not committed, in stream order.
    pending: Vec<Item>,
    /// The weight of the messages that the next transaction takes; shrinks while the cause of an unexpected failure is
    /// searched for.
    pace: Pace,
    detours: Detours,
    /// The same for messages of users who exceed their quota.
    detour_pace: Pace,
    /// How many of these are read at once.
    detour_gets: Pace,
    /// Creation time of the stream that `read_up_to` belongs to.
    read_of: i64,
    /// Sequence of the last message that was read.
    read_up_to: u64,
    retries: Retries,
    mixed_subjects: MixedSubjects,
    idle: Idle,
    backoff: Duration,
    /// The mismatch that was reported last.
    reported: Option<Mismatch>,
}

impl Lane {
    /// Returns a lane that this worker owns, which continues from `state`.
    #[must_use]
    pub fn new(context: Context, key: LaneKey, state: LaneState) -> Self {
        context.board.set(key, Condition::Starting);
        Self {
            position: LanePosition { key, state },
            detours: Detours::new(Quotas::new(context.quota)),
            context,
            source: Source::default(),
            pending: Vec::new(),
            pace: Pace::new(BATCH_WEIGHT, BATCH_WEIGHT_LEAST, BATCH_TARGET),
            detour_pace: Pace::new(BATCH_WEIGHT, BATCH_WEIGHT_LEAST, DETOUR_TARGET),
            detour_gets: Pace::new(DETOUR_GETS, DETOUR_GETS_LEAST, DETOUR_TARGET / 2),
            read_of: 0,
            read_up_to: 0,
            retries: Retries::default(),
            mixed_subjects: MixedSubjects::default(),
            idle: Idle::default(),
            backoff: BACKOFF_MIN,
            reported: None,
        }
    }

    /// Returns the stream sequence up to which every message is processed, or passed over for a detour.
    #[must_use]
    pub const fn cursor(&self) -> u64 {
        self.position.state.cursor
    }

    /// Steps until `stop`. Returns false when another worker owns the lane.
    pub async fn run(mut self, stop: CancellationToken) -> bool {
        let key = self.position.key;
        while !stop.is_cancelled() {
            let (condition, wait) = match self.step(&stop).await {
                Step::Committed(_) | Step::Narrowed | Step::Followed | Step::Idle => {
                    (Condition::Running, Duration::ZERO)
                }
                Step::Waiting(why) => (Condition::Waiting(why), self.next_backoff()),
                Step::Halted(mismatch) => (Condition::Halted(mismatch), HALTED_WAIT),
                Step::Lost => {
                    let epoch = self.position.state.epoch;
                    tracing::warn!(lane = %key, epoch, "another worker owns the lane");
                    return false;
                }
            };

            if self.context.board.set(key, condition.clone()) {
                match condition {
                    Condition::Waiting(why) => tracing::warn!(lane = %key, %why, "lane waits"),
                    Condition::Running => self.log_running(),
                    // Logged where it was found.
                    Condition::Halted(_) | Condition::Starting => {}
                }
            }

            // Even a sleep of no length waits for the timer's next tick.
            if !wait.is_zero() {
                stop.run_until_cancelled(tokio::time::sleep(wait)).await;
            }
        }
        true
    }

    fn log_running(&self) {
        tracing::info!(lane = %self.position.key, cursor = self.cursor(), "lane runs");
    }

    fn next_backoff(&mut self) -> Duration {
        let wait = self.backoff;
        self.backoff = (wait * 2).min(BACKOFF_MAX);
        // Between half and all of it, so that the lanes do not return all at once.
        rand::rng().random_range(wait / 2..=wait)
    }

    /// Processes one batch: due dead letters if any, otherwise messages, read unless earlier ones are still pending. A `stop`
    /// ends the wait for messages; a batch that has begun is finished.
    pub async fn step(&mut self, stop: &CancellationToken) -> Step {
        let mut outcome = self.try_step(stop).await;
        if matches!(&outcome, Err(Interrupt::Failed(error)) if error.is_outdated_session()) {
            // A migration or a failover outdated the session; another one takes its place.
            outcome = self.try_step(stop).await;
        }

        match outcome {
            Ok(step) => step,
            Err(Interrupt::Lost) => Step::Lost,
            Err(Interrupt::Moved(stored)) => {
                self.follow(stored);
                Step::Followed
            }
            Err(Interrupt::Failed(error)) => {
                if error.is_unreachable() {
                    self.backoff = self.backoff.min(RECONNECT_MAX);
                }
                Step::Waiting(explain(&error))
            }
        }
    }

    async fn try_step(&mut self, stop: &CancellationToken) -> Result<Step, Interrupt> {
        if !self.detours.are_known() {
            self.detours.load(&self.context, self.position.key).await?;
        }
        // Without a reader NATS may be down or the lane halted; dead letters need no NATS.
        if (self.retries.are_under_way() || !self.source.is_open())
            && let Some(step) = self.retry_due().await?
        {
            return Ok(step);
        }

        if self.pending.is_empty() {
            let read = stop.run_until_cancelled(self.read()).await;
            if self.pending.is_empty() {
                self.retries.forgive();
                self.detours.forgive();
            }
            let Some(read) = read else {
                // A batch may have been on its way to us.
                self.source.close();
                return Ok(Step::Idle);
            };
            if let Some(mismatch) = self.drop_reader_on_failure(read)? {
                return Ok(Step::Halted(mismatch));
            }
        }
        if let Some(step) = self.retry_due().await? {
            return Ok(step);
        }
        if let Some(step) = self.continue_detour().await? {
            return Ok(step);
        }
        if self.pending.is_empty() {
            return self.advance_idle().await;
        }

        let begun = Instant::now();
        let step = self.commit_pending().await;
        let took = begun.elapsed();
        self.retries.give(took);
        self.detours.give(took);
        step
    }

    /// Passes `outcome` on. A failure makes the reader suspect, so it is dropped.
    fn drop_reader_on_failure<T>(&mut self, outcome: Result<T, Interrupt>) -> Result<T, Interrupt> {
        if matches!(outcome, Err(Interrupt::Failed(_))) {
            self.source.fail();
        }
        outcome
    }

    /// Fills `pending`. Returns the mismatch when the lane must halt.
    async fn read(&mut self) -> Result<Option<Mismatch>, Interrupt> {
        if !self.source.is_open() {
            if let Some(mismatch) = within_limit(self.verify()).await? {
                return Ok(Some(mismatch));
            }
            self.detours.load(&self.context, self.position.key).await?;
        }

        let direct = self.source.open(&self.context, &self.position).await?;
        // Before a message arrives, so that the lane is known to be ready for it.
        if self.context.board.set_started(self.position.key) {
            self.log_running();
        }
        self.pending = match direct {
            Some(items) => items,
            None => {
                let wait = self.read_wait();
                let passed = self.detours.users();
                self.source.next_batch(wait, passed).await?
            }
        };
        if self.context.detours.is_on() {
            self.detours.admit(&self.pending);
        }
        self.count_redeliveries();
        self.measure_lag(None);
        Ok(None)
    }

    /// Returns how long to wait for new messages.
    fn read_wait(&self) -> Duration {
        if self.retries.are_under_way() || self.detours.are_under_way() {
            let pause = self.detours.pause();
            pause.clamp(READ_WAIT_BETWEEN, READ_WAIT)
        } else {
            READ_WAIT
        }
    }

    /// Verifies the position before a reader is opened. Returns the mismatch when the lane must halt.
    async fn verify(&mut self) -> Result<Option<Mismatch>, Interrupt> {
        let (stream, mismatch) = verify::verify(&self.context, &mut self.position).await?;
        if let Some(mismatch) = mismatch {
            let is_accepted = verify::is_accepted(&self.context, mismatch);
            if self.reported.replace(mismatch) != Some(mismatch) {
                verify::report(&self.position, mismatch, is_accepted);
            }
            if !is_accepted {
                self.bound_lag(stream.last_seq);
                return Ok(Some(mismatch));
            }
            verify::accept(&self.context, &mut self.position, mismatch, &stream).await?;
        }

        self.reported = None;
        self.bound_lag(stream.last_seq);
        Ok(None)
    }

    fn count_redeliveries(&mut self) {
        // Another stream has other messages.
        if self.read_of != self.position.state.stream_created_at {
            self.read_of = self.position.state.stream_created_at;
            self.read_up_to = 0;
        }

        let sequences = self.pending.iter().map(|item| item.message.stream_seq);
        let again = sequences.clone().filter(|seq| *seq <= self.read_up_to);
        metrics::counter!("ingest_redeliveries_total", "stream" => self.position.key.stream.name())
            .increment(again.map(|_| 1).sum());
        self.read_up_to = sequences.fold(self.read_up_to, u64::max);
    }

    /// Reports how far the lane is behind. `committed_at` is the broker's time of the last committed message.
    fn measure_lag(&self, committed_at: Option<i64>) {
        if let Some(lag) = self.source.lag(&self.pending, committed_at) {
            self.context.board.set_lag(self.position.key, lag);
        }
    }

    /// Reports everything behind the cursor as lag, because only a reader knows which messages are the lane's own.
    fn bound_lag(&self, last_seq: u64) {
        let lag = Lag::at_most(last_seq.saturating_sub(self.cursor()));
        self.context.board.set_lag(self.position.key, lag);
    }

    /// Retries the due dead letters; None when none are due.
    async fn retry_due(&mut self) -> Result<Option<Step>, Interrupt> {
        Ok(
            match self.retries.run(&self.context, &self.position).await? {
                Round::Nothing => None,
                Round::Narrowed => Some(Step::Narrowed),
                Round::Done(retried) => {
                    self.backoff = BACKOFF_MIN;
                    self.context.connection.wake_untraced(&retried.users);
                    Some(Step::Committed(Counts {
                        applied: retried.applied,
                        ..Counts::default()
                    }))
                }
            },
        )
    }

    async fn advance_idle(&mut self) -> Result<Step, Interrupt> {
        self.backoff = BACKOFF_MIN;
        let moving = self
            .idle
            .advance(&self.context, &mut self.position, &mut self.source);
        let moved = within_limit(moving).await;
        self.drop_reader_on_failure(moved)?;
        Ok(Step::Idle)
    }

    /// Adopts the stored position. It differs from ours when a commit succeeded whose response was lost, or when the database
    /// was restored to an earlier state; in both cases the database is right.
    fn follow(&mut self, stored: LaneState) {
        let from = self.cursor();
        let to = stored.cursor;
        tracing::info!(lane = %self.position.key, from, to, "cursor moved; continuing from the database");
        let mut sequences = self.pending.iter().map(|item| item.message.stream_seq);
        if to > from && sequences.any(|seq| seq == to) {
            self.pending.retain(|item| item.message.stream_seq > to);
        } else {
            self.pending.clear();
            self.source.close();
        }
        self.position.state = stored;
        self.detours.forget();
    }
}
