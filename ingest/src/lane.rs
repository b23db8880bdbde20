//! One lane: reads its part of a stream and commits each batch together with the lane's position.
//!
//! Owns: [`Lane::step`], which does one batch, and the dumb loop around it. The truth is in the database: a lane killed
//! at any instant goes on from its cursor, and what it had read and not committed is read again. Must not know: how other
//! lanes are shared out.

mod ahead;
mod commit;
mod forms;
mod gathered;
mod proof;
mod retry;
mod told;
mod traces;
mod transaction;

pub(crate) use proof::restart;
pub(crate) use tiris_runtime::explain as describe;
pub(crate) use transaction::{settle, within_limit};

use crate::context::Context;
use crate::identity::Mismatch;
use crate::intake::Intake;
use crate::plan::Counts;
use crate::reader::{self, LaneId};
use crate::status::{Lag, LaneStatus};
use ahead::Ahead;
use forms::Forms;
use gathered::Gathered;
use rand::RngExt;
use retry::Retries;
use std::time::{Duration, Instant};
use tiris_store::error::Result;
use tiris_store::lanes::{self, LaneState};
use tokio_util::sync::CancellationToken;

/// A lane that is halted looks again after this time.
const HALTED_WAIT: Duration = Duration::from_secs(5);
/// First and longest wait before something that failed in passing is tried again.
const BACKOFF_MIN: Duration = Duration::from_millis(50);
const BACKOFF_MAX: Duration = Duration::from_secs(30);
/// What a step did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A batch is committed, and the cursor with it.
    Committed(Counts),
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
    id: LaneId,
    epoch: i64,
    cursor: u64,
    fingerprint: Option<Vec<u8>>,
    stream_created_at: i64,
    intake: Intake,
    /// The last message that was read.
    read_up_to: u64,
    /// Read and not committed.
    pending: Gathered,
    /// Read behind the pending ones.
    ahead: Ahead,
    /// How many of `pending` the next transaction takes; shrinks while an unforeseen failure is searched.
    attempt: usize,
    retries: Retries,
    forms: Forms,
    backoff: Duration,
    /// When the end of the stream was last read while nothing came, and what it was.
    looked_at_end: Instant,
    end: u64,
    /// What was told to be wrong with cursor and stream.
    halted: Option<Mismatch>,
}

impl Lane {
    /// A lane this worker has taken, going on from `state`.
    #[must_use]
    pub fn new(context: Context, id: LaneId, state: &LaneState) -> Self {
        context.board.set(id, LaneStatus::Starting);
        let mut lane = Self {
            context,
            id,
            epoch: state.epoch,
            cursor: 0,
            fingerprint: None,
            stream_created_at: state.stream_created_at,
            intake: Intake::default(),
            read_up_to: 0,
            pending: Gathered::default(),
            ahead: Ahead::default(),
            attempt: usize::MAX,
            retries: Retries::default(),
            forms: Forms::default(),
            backoff: BACKOFF_MIN,
            looked_at_end: Instant::now(),
            end: 0,
            halted: None,
        };
        lane.go_to(state);
        lane
    }

    /// Takes the lane from whoever has it.
    pub async fn seize(context: Context, id: LaneId) -> Result<Self> {
        let (pool, stream, lane) = (&context.pool, id.stream.name(), lane_column(id));
        let (found, _) = reader::look_at(&context.connection, id.stream, 0).await?;
        lanes::ensure(pool, stream, &[lane], found.created_at).await?;
        let state = lanes::seize(pool, stream, lane, context.owner, context.lease).await?;
        Ok(Self::new(context, id, &state))
    }

    /// Which lane this is.
    #[must_use]
    pub const fn id(&self) -> LaneId {
        self.id
    }

    /// Everything up to this stream sequence is done.
    #[must_use]
    pub const fn cursor(&self) -> u64 {
        self.cursor
    }

    /// Steps until `stop`, or until another worker has the lane; answers false then.
    pub async fn run(mut self, stop: CancellationToken) -> bool {
        while !stop.is_cancelled() {
            let step = self.step(&stop).await;
            let (status, wait) = match &step {
                Step::Committed(_) | Step::Idle => (LaneStatus::Running, Duration::ZERO),
                Step::Waiting(why) => (LaneStatus::Waiting(why.clone()), self.next_backoff()),
                Step::Halted(mismatch) => (LaneStatus::Halted(*mismatch), HALTED_WAIT),
                Step::Lost => {
                    tracing::warn!(lane = %self.id, epoch = self.epoch, "another worker has the lane");
                    return false;
                }
            };
            if self.context.board.set(self.id, status) {
                match &step {
                    Step::Waiting(why) => tracing::warn!(lane = %self.id, %why, "lane waits"),
                    // Told where it was found.
                    Step::Halted(_) | Step::Lost => {}
                    Step::Committed(_) | Step::Idle => self.log_running(),
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
        tracing::info!(lane = %self.id, cursor = self.cursor, "lane runs");
    }

    fn next_backoff(&mut self) -> Duration {
        let wait = self.backoff;
        self.backoff = (wait * 2).min(BACKOFF_MAX);
        // Between half and all of it, so that lanes do not come back all at once.
        rand::rng().random_range(wait / 2..=wait)
    }

    /// Does one batch: letters whose turn it is before anything else, else messages, read unless the last ones are still
    /// to be committed, together with the cursor. While waiting for messages it listens to `stop`; a batch that was
    /// begun is finished.
    pub async fn step(&mut self, stop: &CancellationToken) -> Step {
        // Without a reader NATS may be down, or the lane halted; letters need neither.
        if (self.retries.are_under_way() || !self.intake.is_open())
            && let Some(step) = self.retry_due().await
        {
            return step;
        }
        if self.pending.is_empty() {
            let read = tokio::select! {
                () = stop.cancelled() => return Step::Idle,
                read = self.read() => read,
            };
            match read {
                Ok(Some(hindrance)) => return hindrance,
                Ok(None) => {}
                Err(error) => {
                    self.intake.doubt();
                    return Step::Waiting(describe(&error));
                }
            }
        }
        if let Some(step) = self.retry_due().await {
            return step;
        }
        if self.pending.is_empty() {
            self.idle().await
        } else {
            self.commit_pending().await
        }
    }

    /// Fills `pending`; answers with a step when the lane is not ours or the stream not the cursor's.
    async fn read(&mut self) -> Result<Option<Step>> {
        if !self.intake.is_open()
            && let Some(hindrance) = within_limit(self.prove()).await?
        {
            return Ok(Some(hindrance));
        }
        if !self.intake.is_open() {
            // The next reader begins at the cursor.
            self.ahead.clear();
        }
        match self
            .intake
            .open(&self.context, self.id, self.epoch, self.cursor)
            .await?
        {
            Some(single) => {
                self.pending.clear();
                self.pending
                    .push(single, self.id, self.context.bare_subjects);
            }
            None => {
                // Told before anything comes: nobody must wait for a message to know that the lane is ready for it.
                if self.context.board.set_started(self.id) {
                    self.log_running();
                }
                self.pending = self
                    .ahead
                    .next_batch(&mut self.intake, &self.context, self.id)
                    .await?;
            }
        }
        self.attempt = self.pending.len();
        self.count_redeliveries();
        self.measure_lag(None);
        Ok(None)
    }

    fn count_redeliveries(&mut self) {
        let messages = self.pending.messages();
        let again = messages
            .iter()
            .filter(|message| message.stream_seq <= self.read_up_to)
            .count();
        metrics::counter!("ingest_redeliveries_total", "stream" => self.id.stream.name())
            .increment(u64::try_from(again).unwrap_or(u64::MAX));
        let last = messages.last().map_or(0, |message| message.stream_seq);
        self.read_up_to = self.read_up_to.max(last);
    }

    /// Puts on the board how far the lane is behind. `done_at`: when the broker took the last message committed.
    fn measure_lag(&self, done_at: Option<i64>) {
        let Some(behind) = self.intake.behind() else {
            return;
        };
        let (pending, ahead) = (self.pending.messages(), self.ahead.messages().messages());
        let waiting = u64::try_from(pending.len() + ahead.len()).unwrap_or(u64::MAX);
        let lag = match pending.first().or(ahead.first()) {
            Some(first) => Lag {
                messages: Some(behind.saturating_add(waiting)),
                exact: true,
                oldest: Some(first.broker_time),
            },
            None if behind == 0 => Lag::NONE,
            // The next message is younger than the last one, until it is read.
            None => Lag {
                messages: Some(behind),
                exact: true,
                oldest: done_at,
            },
        };
        self.context.board.set_lag(self.id, lag);
    }

    async fn idle(&mut self) -> Step {
        self.backoff = BACKOFF_MIN;
        if self.looked_at_end.elapsed() < self.context.idle_move {
            return Step::Idle;
        }
        self.looked_at_end = Instant::now();
        match within_limit(self.move_idle()).await {
            Ok(true) => Step::Idle,
            Ok(false) => Step::Lost,
            Err(error) => {
                self.intake.doubt();
                Step::Waiting(describe(&error))
            }
        }
    }

    fn advance(&mut self, taken: usize) {
        if let Some(last) = self.pending.remove(taken) {
            self.cursor = last.stream_seq;
            self.fingerprint = Some(last.fingerprint());
            self.measure_lag(Some(last.broker_time));
        }
        self.attempt = self.pending.len();
        self.backoff = BACKOFF_MIN;
    }

    /// The cursor is not where we left it: a commit whose answer was lost came through, or the database was restored
    /// to an earlier state. Either way the database is right.
    fn resume_at(&mut self, state: &LaneState) {
        let stored = from_column(state.cursor);
        tracing::info!(lane = %self.id, from = self.cursor, to = stored, "cursor moved, following the database");
        let known = stored > self.cursor
            && self
                .pending
                .messages()
                .iter()
                .any(|message| message.stream_seq == stored);
        if known {
            self.pending.remove_up_to(stored);
        } else {
            self.pending.clear();
            self.intake.close();
        }
        self.attempt = self.pending.len();
        self.go_to(state);
    }

    fn go_to(&mut self, state: &LaneState) {
        self.cursor = from_column(state.cursor);
        self.fingerprint.clone_from(&state.fingerprint);
        if self.stream_created_at != state.stream_created_at {
            // Its messages are others.
            self.read_up_to = 0;
        }
        self.stream_created_at = state.stream_created_at;
    }

    fn owns(&self, state: &LaneState) -> bool {
        state.epoch == self.epoch && state.owner == Some(self.context.owner)
    }
}

pub(crate) fn lane_column(id: LaneId) -> i32 {
    i32::try_from(id.lane).unwrap_or(i32::MAX)
}

/// Stream sequences are far from the end of `bigint`.
fn to_column(seq: u64) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}

/// The table's constraint keeps cursors from being negative.
fn from_column(cursor: i64) -> u64 {
    u64::try_from(cursor).unwrap_or(0)
}
