//! Commits a batch: the effects of its messages, their dead letters and the cursor, all or nothing.

use super::position::{Interrupt, LanePosition};
use super::report::Report;
use super::traces::Traces;
use super::{BACKOFF_MIN, Lane, Step};
use crate::context::Context;
use crate::dead_letters::dead_letters_of;
use crate::failure::may_be_the_event;
use crate::plan::{Item, entries};
use crate::transaction::{settle, within_limit};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use std::time::Instant;
use tiris_runtime::{explain, telemetry, trace};
use tiris_store::dead_letters;
use tiris_store::error::{Error, Result};
use tiris_store::lanes;
use tiris_store::ledger::{self, Batch, Cause, Claims, Disposition, Entry, Waiting};
use tracing::{Instrument, error_span};

impl Lane {
    /// Commits the pending messages, or the first of them, in a span of the trace they belong to.
    pub(super) async fn commit_pending(&mut self) -> Result<Step, Interrupt> {
        let taken = self.attempt.clamp(1, self.pending.len());
        let traces = Traces::of(&self.pending[..taken]);
        let trace = traces.batch().clone();
        // Of the highest level, so that the id is present at every log level.
        let span = error_span!("batch", trace_id = trace.id(), lane = %self.position.key, otel.kind = "consumer");
        telemetry::open(&span, &trace);
        telemetry::link(&span, traces.links());
        trace
            .scope(self.commit(taken, &traces).instrument(span))
            .await
    }

    async fn commit(&mut self, taken: usize, traces: &Traces) -> Result<Step, Interrupt> {
        let started = Instant::now();
        let items = &self.pending[..taken];
        let mut outcome = transact_with_races(&self.context, &self.position, items).await;
        if let Err(Interrupt::Failed(error)) = &outcome {
            let is_the_event = may_be_the_event(error);
            if taken > 1 {
                // Also when no event is the cause: a batch that exceeded a time limit then fits it.
                self.attempt = taken / 2;
                if is_the_event {
                    self.count_failure();
                    tracing::warn!(lane = %self.position.key, events = taken, error = %explain(error), "batch failed; searching for the event");
                    return Ok(Step::Narrowed);
                }
            } else if is_the_event {
                tracing::error!(lane = %self.position.key, seq = items[0].message.stream_seq, error = %explain(error), "event failed");
                outcome =
                    transact_within_limit(&self.context, &self.position, items, Some(error)).await;
            }
        }

        if matches!(outcome, Err(Interrupt::Failed(_))) {
            self.count_failure();
        }
        let dispositions = outcome?;
        Ok(self.finish(taken, &dispositions, traces, started).await)
    }

    fn count_failure(&self) {
        let stream = self.position.key.stream.name();
        metrics::counter!("ingest_batch_failures_total", "stream" => stream).increment(1);
    }

    /// Follows the commit of the first `taken` pending messages.
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
}

/// Attempts at a batch that loses races against other transactions, such as requests for the same new order, or its session.
const ATTEMPTS_MAX: u32 = 3;

/// Commits `items`, again at once when another transaction was first, or a migration or failover outdated the session.
async fn transact_with_races(
    context: &Context,
    position: &LanePosition,
    items: &[Item],
) -> Result<Vec<Disposition>, Interrupt> {
    let mut attempts = 1;
    loop {
        let outcome = transact_within_limit(context, position, items, None).await;
        match &outcome {
            Err(Interrupt::Failed(error))
                if attempts < ATTEMPTS_MAX && (error.is_race() || error.is_outdated_session()) =>
            {
                attempts += 1;
            }
            _ => return outcome,
        }
    }
}

/// Commits `items` and moves the cursor past them. With `failure` the single item becomes a dead letter instead of being
/// applied. Returns the disposition of each item.
async fn transact_within_limit(
    context: &Context,
    position: &LanePosition,
    items: &[Item],
    failure: Option<&Error>,
) -> Result<Vec<Disposition>, Interrupt> {
    let mut connection = context.pool.acquire().await?;
    let transaction = transact(context, &mut connection, position, items, failure)
        .instrument(error_span!("commit"));
    let outcome = within_limit(transaction).await;

    settle(connection, outcome, Interrupt::is_failure)
}

async fn transact(
    context: &Context,
    connection: &mut PgConnection,
    position: &LanePosition,
    items: &[Item],
    failure: Option<&Error>,
) -> Result<Vec<Disposition>, Interrupt> {
    let Some(last) = items.last() else {
        return Ok(Vec::new());
    };
    let mut transaction = connection
        .begin_with(AssertSqlSafe(trace::begin_statement()))
        .await?;
    position.lock_at_cursor(&mut transaction).await?;

    let mut booked_at = None;
    let dispositions = match failure {
        None => {
            let batch = apply(&mut transaction, position, items).await?;
            booked_at = Some(batch.timestamp);
            batch.dispositions
        }
        Some(error) => set_aside(&mut transaction, items, error).await?,
    };
    let created_at = position.state.stream_created_at;
    let dead = dead_letters_of(items, &dispositions, position.key, created_at);
    dead_letters::insert(&mut transaction, &dead).await?;

    let fingerprint = last.message.fingerprint();
    let to = lanes::Move {
        cursor: last.message.stream_seq,
        fingerprint: Some(&fingerprint),
        events: items.len(),
        booked_at,
    };
    lanes::move_cursor(&mut transaction, position.key, to, context.lease).await?;
    transaction.commit().await?;
    Ok(dispositions)
}

async fn apply(
    transaction: &mut PgConnection,
    position: &LanePosition,
    items: &[Item],
) -> Result<Batch> {
    let keys = entries(items).flat_map(Entry::keys).collect();
    let waiting = Waiting {
        keys: dead_letters::waiting_keys(transaction, position.key, keys).await?,
        ..Waiting::default()
    };

    ledger::apply(transaction, items, Claims::New, waiting, rand::random()).await
}

/// Claims the event ids of `items`, whose application failed with `error`, without applying them.
async fn set_aside(
    transaction: &mut PgConnection,
    items: &[Item],
    error: &Error,
) -> Result<Vec<Disposition>> {
    let entries: Vec<&Entry> = entries(items).collect();
    ledger::claim_dead(transaction, &entries).await?;

    let dead = Disposition::DeadLetter(Cause::internal(error));
    Ok(vec![dead; items.len()])
}
