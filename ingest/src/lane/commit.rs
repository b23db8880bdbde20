//! The transaction of a batch of messages: their effects, their letters and the cursor, all or nothing.
//!
//! Owns: what is in the transaction, and the search of the one event that cannot be applied. Must not know: how messages
//! come, when letters are tried again.

use super::transaction::{settle, within_limit};
use super::{Lane, Step, describe, from_column, lane_column, to_column};
use crate::blame;
use crate::plan::{self, Counts, Plan};
use crate::reader::Incoming;
use sqlx::{Connection as _, PgConnection};
use std::collections::BTreeSet;
use std::time::Instant;
use tiris_shared::error::{Error, Result};
use tiris_shared::store::lanes::LaneState;
use tiris_shared::store::ledger::{self, Claims, Waiting};
use tiris_shared::store::{bots, dead_letters, lanes};
use uuid::Uuid;

/// What a transaction came to.
enum Committed {
    Batch(Counts, usize, BTreeSet<Uuid>),
    Moved(LaneState),
    Lost,
}

impl Lane {
    pub(super) async fn commit_pending(&mut self) -> Step {
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
            Ok(Committed::Batch(counts, taken, users)) => {
                self.context.connection.tell_committed(&users);
                self.advance(taken);
                self.record(counts, taken, started);
                self.note_forms(users).await;
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
        let outcome = within_limit(self.transact(&mut connection, taken, failure)).await;
        settle(connection, outcome)
    }

    async fn transact(
        &self,
        connection: &mut PgConnection,
        taken: usize,
        failure: Option<&Error>,
    ) -> Result<Committed> {
        let messages = &self.pending[..taken];
        let Some(last) = messages.last() else {
            return Ok(Committed::Batch(Counts::default(), 0, BTreeSet::new()));
        };
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
                ledger::claim_dead(&mut transaction, &plan.entries).await?;
                (Counts { dead: 1, ..Counts::default() }, None)
            }
        };
        let fingerprint = last.fingerprint();
        let to = lanes::Move {
            cursor: to_column(last.stream_seq),
            fingerprint: Some(&fingerprint),
            events: i64::try_from(taken).unwrap_or(i64::MAX),
        };
        lanes::move_cursor(&mut transaction, stream, lane, to, self.context.lease).await?;
        if let Some(timestamp) = timestamp {
            ledger::assert_fresh(&mut transaction, timestamp).await?;
        }
        transaction.commit().await?;
        Ok(Committed::Batch(counts, taken, plan.users()))
    }

    async fn apply(
        &self,
        transaction: &mut PgConnection,
        plan: &Plan,
        messages: &[Incoming],
    ) -> Result<(Counts, Option<chrono::DateTime<chrono::Utc>>)> {
        let (stream, lane) = (self.id.stream.name(), lane_column(self.id));
        let keys = dead_letters::waiting_keys(transaction, stream, lane, plan.keys()).await?;
        let waiting = Waiting { keys, ..Waiting::default() };
        let batch =
            ledger::apply_events(transaction, &plan.entries, Claims::New, waiting, rand::random()).await?;
        bots::keep_latest(transaction, &plan.beats).await?;
        let (letters, counts) = plan.letters(messages, self.id, self.stream_created_at, &batch);
        dead_letters::insert(transaction, &letters).await?;
        Ok((counts, Some(batch.timestamp)))
    }
}
