//! One lane: reads its part of a stream and commits each batch together with the lane's position.
//!
//! Owns: [`Lane::step`], which does one batch, and the dumb loop around it. The truth is in the database: a lane killed
//! at any instant goes on from its cursor, and what it had read and not committed is read again. Must not know: how other
//! lanes are shared out.

use crate::blame;
use crate::context::Context;
use crate::identity::{self, Mismatch, Position};
use crate::intake::Intake;
use crate::plan::{self, Counts, Plan};
use crate::reader::{self, Incoming, LaneId};
use crate::single;
use crate::status::LaneStatus;
use rand::RngExt;
use sqlx::{Connection as _, PgConnection};
use std::time::{Duration, Instant};
use tiris_shared::error::{Error, Result};
use tiris_shared::store::lanes::LaneState;
use tiris_shared::store::{bots, dead_letters, lanes, ledger};
use tokio_util::sync::CancellationToken;

/// A lane that is halted looks again after this time.
const HALTED_WAIT: Duration = Duration::from_secs(5);
/// First and longest wait before something that failed in passing is tried again.
const BACKOFF_MIN: Duration = Duration::from_millis(50);
const BACKOFF_MAX: Duration = Duration::from_secs(30);
/// A transaction that takes longer is given up, because its connection is probably dead. The server's own limits,
/// five seconds a statement, ten from the batch's timestamp to its end, come before.
const TRANSACTION_LIMIT: Duration = Duration::from_secs(15);
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
    /// Read and not committed.
    pending: Vec<Incoming>,
    /// How many of `pending` the next transaction takes; shrinks while an unforeseen failure is searched.
    attempt: usize,
    backoff: Duration,
    /// When the end of the stream was last read while nothing came, and what it was.
    looked_at_end: Instant,
    end: u64,
}

/// What a transaction came to.
enum Committed {
    Batch(Counts, usize),
    Moved(LaneState),
    Lost,
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
            pending: Vec::new(),
            attempt: usize::MAX,
            backoff: BACKOFF_MIN,
            looked_at_end: Instant::now(),
            end: 0,
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
                Step::Halted(mismatch) => (LaneStatus::Halted(mismatch.to_string()), HALTED_WAIT),
                Step::Lost => {
                    tracing::warn!(lane = %self.id, epoch = self.epoch, "another worker has the lane");
                    return false;
                }
            };
            if self.context.board.set(self.id, status) {
                match &step {
                    Step::Waiting(why) => tracing::warn!(lane = %self.id, %why, "lane waits"),
                    Step::Halted(why) => tracing::error!(lane = %self.id, %why, "lane is halted"),
                    Step::Committed(_) | Step::Idle => {
                        tracing::info!(lane = %self.id, cursor = self.cursor, "lane runs")
                    }
                    Step::Lost => {}
                }
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
        true
    }

    fn next_backoff(&mut self) -> Duration {
        let wait = self.backoff;
        self.backoff = (wait * 2).min(BACKOFF_MAX);
        // Between half and all of it, so that lanes do not come back all at once.
        rand::rng().random_range(wait / 2..=wait)
    }

    /// Does one batch: reads it, unless the last one is still to be committed, and commits it with the cursor.
    /// While waiting for messages it listens to `stop`; a batch that was begun is finished.
    pub async fn step(&mut self, stop: &CancellationToken) -> Step {
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
            if self.pending.is_empty() {
                return self.idle().await;
            }
        }
        self.commit_pending().await
    }

    /// Fills `pending`; answers with a step when the lane is not ours or the stream not the cursor's.
    async fn read(&mut self) -> Result<Option<Step>> {
        if !self.intake.is_open()
            && let Some(hindrance) = self.prove().await?
        {
            return Ok(Some(hindrance));
        }
        self.pending = self.intake.next(&self.context, self.id, self.epoch, self.cursor).await?;
        self.attempt = self.pending.len();
        Ok(None)
    }

    async fn idle(&mut self) -> Step {
        self.backoff = BACKOFF_MIN;
        if self.looked_at_end.elapsed() < self.context.idle_move {
            return Step::Idle;
        }
        self.looked_at_end = Instant::now();
        match self.move_idle().await {
            Ok(true) => Step::Idle,
            Ok(false) => Step::Lost,
            Err(error) => {
                self.intake.doubt();
                Step::Waiting(describe(&error))
            }
        }
    }

    /// Moves the cursor of a lane that has done all there is to the end of the stream, so that retention never seems to
    /// have overtaken it; answers whether the lane is still ours.
    ///
    /// The end is the one read at the look before, so that nothing which came since is passed over, not even when the
    /// broker's node that serves this lane learns of messages later than the one that told the end.
    async fn move_idle(&mut self) -> Result<bool> {
        let connection = &self.context.connection;
        let (stream, _) = reader::look_at(connection, self.id.stream, 0).await?;
        let end = std::mem::replace(&mut self.end, stream.last_seq);
        let same_stream = stream.created_at == self.stream_created_at;
        if !same_stream || end <= self.cursor || !self.intake.is_drained(&self.context).await? {
            return Ok(true);
        }
        let last = single::message_at(connection, self.id.stream, end).await?;
        let fingerprint = last.map(|message| message.fingerprint());
        let mut transaction = self.context.pool.begin().await?;
        let (name, lane) = (self.id.stream.name(), lane_column(self.id));
        let state = match lanes::lock(&mut transaction, name, lane).await? {
            Some(state) if self.owns(&state) => state,
            Some(_) | None => return Ok(false),
        };
        if from_column(state.cursor) != self.cursor {
            self.resume_at(&state);
            return Ok(true);
        }
        let cursor = to_column(end);
        let lease = self.context.lease;
        lanes::move_cursor(&mut transaction, name, lane, cursor, fingerprint.as_deref(), lease).await?;
        transaction.commit().await?;
        self.cursor = end;
        self.fingerprint = fingerprint;
        Ok(true)
    }

    /// Before a reader is opened: the lane is ours, the position is the database's, and the stream is the one it
    /// belongs to.
    async fn prove(&mut self) -> Result<Option<Step>> {
        let stored = lanes::find(&self.context.pool, self.id.stream.name(), lane_column(self.id)).await?;
        match stored {
            Some(state) if self.owns(&state) => self.go_to(&state),
            Some(_) | None => return Ok(Some(Step::Lost)),
        }
        let (stream, at_cursor) =
            reader::look_at(&self.context.connection, self.id.stream, self.cursor).await?;
        let position = Position {
            stream_created_at: self.stream_created_at,
            cursor: self.cursor,
            fingerprint: self.fingerprint.as_deref(),
        };
        if let Err(mismatch) = identity::judge(&stream, &position, at_cursor.as_deref()) {
            metrics::counter!("ingest_cursor_mismatches_total", "stream" => self.id.stream.name())
                .increment(1);
            return Ok(Some(Step::Halted(mismatch)));
        }
        Ok(None)
    }

    fn owns(&self, state: &LaneState) -> bool {
        state.epoch == self.epoch && state.owner == Some(self.context.owner)
    }

    async fn commit_pending(&mut self) -> Step {
        let taken = self.attempt.clamp(1, self.pending.len());
        let started = Instant::now();
        let result = self.commit(taken, None).await;
        let result = match result {
            Err(error) if taken > 1 => {
                // Smaller, also when it is nobody's fault: what was too much for a limit of time then fits it.
                self.attempt = taken / 2;
                if blame::may_be_the_event(&error) {
                    tracing::warn!(lane = %self.id, events = taken, error = %describe(&error), "batch failed, searching the event");
                    return Step::Committed(Counts::default());
                }
                Err(error)
            }
            Err(error) if blame::may_be_the_event(&error) => {
                tracing::error!(lane = %self.id, seq = self.pending[0].stream_seq, error = %describe(&error), "event failed");
                self.commit(1, Some(&error)).await
            }
            other => other,
        };
        match result {
            Ok(Committed::Batch(counts, taken)) => {
                self.advance(taken);
                self.record(counts, taken, started);
                Step::Committed(counts)
            }
            Ok(Committed::Moved(state)) => {
                self.resume_at(&state);
                Step::Committed(Counts::default())
            }
            Ok(Committed::Lost) => Step::Lost,
            Err(error) => Step::Waiting(describe(&error)),
        }
    }

    /// The first `taken` pending messages in one transaction with the cursor. With `failure` the single message is put
    /// aside as a dead letter instead of being applied.
    async fn commit(&self, taken: usize, failure: Option<&Error>) -> Result<Committed> {
        let mut connection = self.context.pool.acquire().await?;
        let transaction = self.transact(&mut connection, taken, failure);
        match tokio::time::timeout(TRANSACTION_LIMIT, transaction).await {
            Ok(Ok(committed)) => Ok(committed),
            // After a failure the connection is not used again: it may be dead, or hold plans of an older schema.
            Ok(Err(error)) => {
                drop(connection.detach());
                Err(error)
            }
            Err(_) => {
                drop(connection.detach());
                let why = format!("no answer within {} s", TRANSACTION_LIMIT.as_secs());
                Err(Error::DatabaseUnavailable(why.into()))
            }
        }
    }

    async fn transact(
        &self,
        connection: &mut PgConnection,
        taken: usize,
        failure: Option<&Error>,
    ) -> Result<Committed> {
        let messages = &self.pending[..taken];
        let Some(last) = messages.last() else { return Ok(Committed::Batch(Counts::default(), 0)) };
        let (stream, lane) = (self.id.stream.name(), lane_column(self.id));
        let plan = Plan::new(messages, self.id, self.context.bare_subjects);
        let mut transaction = connection.begin().await?;
        let Some(state) = lanes::lock(&mut transaction, stream, lane).await? else {
            return Ok(Committed::Lost);
        };
        if !self.owns(&state) {
            return Ok(Committed::Lost);
        }
        if from_column(state.cursor) != self.cursor {
            return Ok(Committed::Moved(state));
        }
        let (counts, timestamp) = match failure {
            None => self.apply(&mut transaction, &plan, messages).await?,
            Some(error) => {
                let letter = plan::internal_letter(
                    &messages[0],
                    self.id,
                    self.stream_created_at,
                    self.context.bare_subjects,
                    error,
                );
                dead_letters::insert(&mut transaction, &[letter]).await?;
                (Counts { dead: 1, ..Counts::default() }, None)
            }
        };
        let (cursor, fingerprint) = (to_column(last.stream_seq), last.fingerprint());
        lanes::move_cursor(&mut transaction, stream, lane, cursor, Some(&fingerprint), self.context.lease)
            .await?;
        if let Some(timestamp) = timestamp {
            ledger::assert_fresh(&mut transaction, timestamp).await?;
        }
        transaction.commit().await?;
        Ok(Committed::Batch(counts, taken))
    }

    async fn apply(
        &self,
        transaction: &mut PgConnection,
        plan: &Plan,
        messages: &[Incoming],
    ) -> Result<(Counts, Option<chrono::DateTime<chrono::Utc>>)> {
        let batch = ledger::apply_batch(transaction, &plan.entries, rand::random()).await?;
        bots::keep_latest(transaction, &plan.beats).await?;
        let (letters, counts) = plan.letters(messages, self.id, self.stream_created_at, &batch);
        dead_letters::insert(transaction, &letters).await?;
        Ok((counts, Some(batch.timestamp)))
    }

    fn advance(&mut self, taken: usize) {
        if let Some(last) = self.pending.drain(..taken).next_back() {
            self.cursor = last.stream_seq;
            self.fingerprint = Some(last.fingerprint());
        }
        self.attempt = self.pending.len();
        self.backoff = BACKOFF_MIN;
    }

    /// The cursor is not where we left it: a commit whose answer was lost came through, or the database was restored
    /// to an earlier state. Either way the database is right.
    fn resume_at(&mut self, state: &LaneState) {
        let stored = from_column(state.cursor);
        tracing::info!(lane = %self.id, from = self.cursor, to = stored, "cursor moved, following the database");
        let known = stored > self.cursor && self.pending.iter().any(|message| message.stream_seq == stored);
        if known {
            self.pending.retain(|message| message.stream_seq > stored);
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
        self.stream_created_at = state.stream_created_at;
    }

    fn record(&self, counts: Counts, taken: usize, started: Instant) {
        let stream = self.id.stream.name();
        for (outcome, count) in
            [("applied", counts.applied), ("duplicate", counts.duplicate), ("dead", counts.dead)]
        {
            metrics::counter!("ingest_events_total", "stream" => stream, "outcome" => outcome)
                .increment(count);
        }
        metrics::histogram!("ingest_commit_seconds", "stream" => stream).record(started.elapsed());
        let size = u32::try_from(taken).unwrap_or(u32::MAX);
        metrics::histogram!("ingest_batch_size", "stream" => stream).record(f64::from(size));
        if counts.dead > 0 {
            tracing::warn!(lane = %self.id, dead = counts.dead, cursor = self.cursor, "events became dead letters");
        }
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

/// An error with its causes, in one line.
pub(crate) fn describe(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
