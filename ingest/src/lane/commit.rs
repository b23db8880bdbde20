//! The transaction of a batch of messages: their effects, their letters and the cursor, all or nothing.
//!
//! Owns: what is in the transaction, and the search of the one event that cannot be applied. Must not know: how messages
//! come, when letters are tried again.

use super::told::Done;
use super::traces::Traces;
use super::transaction::{settle, within_limit};
use super::{Lane, Step, describe, from_column, lane_column, to_column};
use crate::blame;
use crate::plan::{self, Counts, Fate, Plan};
use crate::reader::Incoming;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use std::time::Instant;
use tiris_runtime::telemetry;
use tiris_runtime::trace;
use tiris_store::error::{Error, Result};
use tiris_store::lanes::LaneState;
use tiris_store::ledger::{self, Claims, Waiting};
use tiris_store::{bots, dead_letters, lanes};
use tracing::{Instrument, error_span};

/// What a transaction came to.
enum Committed {
    Batch(Done),
    Moved(LaneState),
    Lost,
}

impl Lane {
    /// Commits what is pending, or a part of it, as a part of the trace it belongs to.
    pub(super) async fn commit_pending(&mut self) -> Step {
        let taken = self.attempt.clamp(1, self.pending.len());
        let traces = Traces::of(&self.pending.messages()[..taken]);
        let trace = traces.batch().clone();
        // Of the highest level, so that the id is there whatever is logged.
        let span =
            error_span!("batch", trace_id = trace.id(), lane = %self.id, otel.kind = "consumer");
        telemetry::open(&span, &trace);
        telemetry::link(&span, traces.links());
        trace
            .scope(self.commit_traced(taken, &traces).instrument(span))
            .await
    }

    async fn commit_traced(&mut self, taken: usize, traces: &Traces) -> Step {
        let started = Instant::now();
        let result = self.commit_reading(taken).await;
        let result = match result {
            Err(error) if taken > 1 => {
                self.count_failure();
                // Smaller, also when it is nobody's fault: what was too much for a limit of time then fits it.
                self.attempt = taken / 2;
                if blame::may_be_the_event(&error) {
                    tracing::warn!(lane = %self.id, events = taken, error = %describe(&error), "batch failed, searching the event");
                    return Step::Committed(Counts::default());
                }
                Err(error)
            }
            Err(error) if blame::may_be_the_event(&error) => {
                tracing::error!(lane = %self.id, seq = self.pending.messages()[0].stream_seq, error = %describe(&error), "event failed");
                let plan = self.pending.plan(1, self.id, self.context.bare_subjects);
                self.commit(&plan, 1, Some(&error)).await
            }
            other => other,
        };
        match result {
            Ok(Committed::Batch(done)) => {
                let users = traces.by_user(done.users.iter().copied());
                self.context.connection.tell_committed(&users);
                self.tell_done(&done, traces, started);
                self.advance(done.fates.len());
                self.note_forms(users.into_keys().collect()).await;
                Step::Committed(done.counts)
            }
            Ok(Committed::Moved(state)) => {
                self.resume_at(&state);
                Step::Committed(Counts::default())
            }
            Ok(Committed::Lost) => Step::Lost,
            Err(error) => {
                self.count_failure();
                Step::Waiting(describe(&error))
            }
        }
    }

    fn count_failure(&self) {
        metrics::counter!("ingest_batch_failures_total", "stream" => self.id.stream.name())
            .increment(1);
    }

    /// Commits the first `taken` pending messages, and reads those behind all pending ones meanwhile.
    async fn commit_reading(&mut self, taken: usize) -> Result<Committed> {
        let plan = self
            .pending
            .plan(taken, self.id, self.context.bare_subjects);
        let (mut intake, mut ahead) = (
            std::mem::take(&mut self.intake),
            std::mem::take(&mut self.ahead),
        );
        let commit = self.commit(&plan, taken, None);
        let result = ahead
            .during(commit, &mut intake, &self.context, self.id)
            .await;
        (self.intake, self.ahead) = (intake, ahead);
        result
    }

    /// The first `taken` pending messages, of which `plan` is, in one transaction with the cursor. With `failure` the
    /// single message is put aside as a dead letter instead of being applied.
    async fn commit(
        &self,
        plan: &Plan,
        taken: usize,
        failure: Option<&Error>,
    ) -> Result<Committed> {
        let mut connection = self.context.pool.acquire().await?;
        let transaction = self
            .transact(&mut connection, plan, taken, failure)
            .instrument(error_span!("commit"));
        let outcome = within_limit(transaction).await;
        settle(connection, outcome)
    }

    async fn transact(
        &self,
        connection: &mut PgConnection,
        plan: &Plan,
        taken: usize,
        failure: Option<&Error>,
    ) -> Result<Committed> {
        let messages = &self.pending.messages()[..taken];
        let Some(last) = messages.last() else {
            return Ok(Committed::Batch(Done::default()));
        };
        let (stream, lane) = (self.id.stream.name(), lane_column(self.id));
        let mut transaction = connection
            .begin_with(AssertSqlSafe(trace::begin_statement()))
            .await?;
        let Some(state) = lanes::lock(&mut transaction, stream, lane).await? else {
            return Ok(Committed::Lost);
        };
        if !self.owns(&state) {
            return Ok(Committed::Lost);
        }
        if from_column(state.cursor) != self.cursor {
            return Ok(Committed::Moved(state));
        }
        let (counts, fates, booked_at) = match failure {
            None => self.apply(&mut transaction, plan, messages).await?,
            Some(error) => {
                let letter = plan::internal_letter(
                    &messages[0],
                    self.id,
                    self.stream_created_at,
                    self.context.bare_subjects,
                    error,
                );
                let fate = Fate::Dead(letter.cause.class, letter.cause.code);
                dead_letters::insert(&mut transaction, &[letter]).await?;
                ledger::claim_dead(&mut transaction, &plan.entries).await?;
                (
                    Counts {
                        dead: 1,
                        ..Counts::default()
                    },
                    vec![fate],
                    None,
                )
            }
        };
        let fingerprint = last.fingerprint();
        let to = lanes::Move {
            cursor: to_column(last.stream_seq),
            fingerprint: Some(&fingerprint),
            events: i64::try_from(taken).unwrap_or(i64::MAX),
            booked_at,
        };
        lanes::move_cursor(&mut transaction, stream, lane, to, self.context.lease).await?;
        transaction.commit().await?;
        Ok(Committed::Batch(Done {
            counts,
            fates,
            users: plan.users().collect(),
        }))
    }

    async fn apply(
        &self,
        transaction: &mut PgConnection,
        plan: &Plan,
        messages: &[Incoming],
    ) -> Result<(Counts, Vec<Fate>, Option<chrono::DateTime<chrono::Utc>>)> {
        let (stream, lane) = (self.id.stream.name(), lane_column(self.id));
        let keys = dead_letters::waiting_keys(transaction, stream, lane, plan.keys()).await?;
        let waiting = Waiting {
            keys,
            ..Waiting::default()
        };
        let batch = ledger::apply_events(
            transaction,
            &plan.entries,
            Claims::New,
            waiting,
            rand::random(),
        )
        .await?;
        bots::keep_latest(transaction, &plan.beats).await?;
        let (letters, counts) = plan.letters(messages, self.id, self.stream_created_at, &batch);
        dead_letters::insert(transaction, &letters).await?;
        Ok((
            counts,
            plan.fates(messages.len(), &batch),
            Some(batch.timestamp),
        ))
    }
}
