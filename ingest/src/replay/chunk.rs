//! One chunk of a replay: its effects, its letters and how far the job is, in one transaction.
//!
//! Owns: what a replay may touch: nothing past a lane's cursor, nothing that is done. The rows of the lanes are locked, so
//! that a lane and a replay never work on the same user at once.

use super::part::Part;
use crate::context::Context;
use crate::plan::plan;
use crate::stream::{Message, subjects};
use crate::transaction::{settle, within_limit};
use sqlx::{Connection as _, PgConnection};
use std::collections::{BTreeMap, BTreeSet};
use tiris_domain::event::{self, BareSubjects, Subject};
use tiris_domain::lane::{EventStream, LaneKey};
use tiris_store::error::{Error, Result};
use tiris_store::replay_jobs::{self, Job, ReplayCounts, StreamProgress};
use tiris_store::{dead_letters, lanes, ledger};
use uuid::Uuid;

/// What a chunk is about.
pub(super) struct Chunk<'a> {
    pub(super) job: &'a Job,
    pub(super) stream: EventStream,
    pub(super) at: StreamProgress,
    pub(super) messages: &'a [Message],
    /// Where the chunk after this one begins.
    pub(super) next: u64,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Done {
    Committed,
    /// Nothing was written: another worker is at the job.
    Elsewhere,
}

impl Chunk<'_> {
    /// All of it or nothing. With `failure` the single message is not applied but kept as a letter.
    pub(super) async fn commit(&self, context: &Context, failure: Option<&Error>) -> Result<Done> {
        let mut connection = context.pool.acquire().await?;
        let outcome = within_limit(self.transact(context, &mut connection, failure)).await;
        settle(connection, outcome)
    }

    async fn transact(
        &self,
        context: &Context,
        connection: &mut PgConnection,
        failure: Option<&Error>,
    ) -> Result<Done> {
        let mut transaction = connection.begin().await?;
        let unchanged = replay_jobs::lock_unchanged(&mut transaction, self.job).await?;
        let Some(now) = unchanged else {
            return Ok(Done::Elsewhere);
        };

        let mut total = ReplayCounts::default();
        let mut users = BTreeSet::new();
        let mut timestamp = None;
        for part in self
            .lock_parts(&mut transaction, context, &mut total)
            .await?
        {
            let done = match failure {
                None => part.apply(&mut transaction, context.bare_subjects).await?,
                Some(error) => part.put_aside(&mut transaction, error).await?,
            };
            total.applied += done.counts.applied;
            total.duplicate += done.counts.duplicate;
            total.rejected += done.counts.rejected;
            timestamp = timestamp.or(done.timestamp);
            users.extend(done.users);
        }

        let mut progress = now.progress.0;
        let next = StreamProgress {
            next: self.next,
            ..self.at
        };
        progress.insert(self.stream.name().to_owned(), next);
        replay_jobs::advance(&mut transaction, self.job.id, &progress, total, false).await?;
        if let Some(timestamp) = timestamp {
            ledger::assert_fresh(&mut transaction, timestamp).await?;
        }
        transaction.commit().await?;
        context.connection.wake_untraced(&users);
        record(total);
        Ok(Done::Committed)
    }

    /// Locks the rows of all lanes of the chunk before anything else. Returns the messages that each has done, but for
    /// those a person gave up, which count as duplicates.
    async fn lock_parts(
        &self,
        transaction: &mut PgConnection,
        context: &Context,
        total: &mut ReplayCounts,
    ) -> Result<Vec<Part>> {
        let mut parts = Vec::new();
        for (key, mut messages) in self.by_lane(context) {
            let state = lanes::lock(transaction, key).await?;
            // A lane that belongs to another stream has done nothing of this one.
            let Some(state) = state.filter(|state| state.stream_created_at == self.at.created_at)
            else {
                continue;
            };

            messages.retain(|message| message.stream_seq <= state.cursor);
            let seqs = messages.iter().map(|message| message.stream_seq);
            let created_at = self.at.created_at;
            let discarded =
                dead_letters::discarded_of(transaction, self.stream, created_at, seqs).await?;
            total.duplicate += discarded.iter().map(|_| 1).sum::<u64>();
            messages.retain(|message| !discarded.contains(&message.stream_seq));
            if !messages.is_empty() {
                parts.push(Part {
                    key,
                    created_at,
                    items: plan(messages, self.stream, context.bare_subjects),
                    job: self.job.id,
                });
            }
        }
        Ok(parts)
    }

    /// The selected messages of each lane, in stream order; lanes in the order in which their rows are locked.
    fn by_lane(&self, context: &Context) -> BTreeMap<LaneKey, Vec<Message>> {
        let mut lanes: BTreeMap<LaneKey, Vec<Message>> = BTreeMap::new();
        let stream = self.stream;
        for message in self.messages.iter().filter(|message| self.selects(message)) {
            if let Some(lane) = subjects::lane_of(stream, &message.subject, context.lanes) {
                let of_lane = lanes.entry(LaneKey { stream, lane }).or_default();
                of_lane.push(message.clone());
            }
        }
        lanes
    }

    fn selects(&self, message: &Message) -> bool {
        let subject = Subject::parse(&message.subject);
        let is_of_kind = match &subject {
            Some(subject) => self.job.selects(subject.kind),
            None => self.job.event_types.is_none(),
        };
        let Some(wanted) = self.job.user_id else {
            return is_of_kind;
        };

        let user = match subject.and_then(|subject| subject.user) {
            Some(token) => Uuid::try_parse(&token).ok(),
            None => match event::parse(&message.subject, &message.payload, BareSubjects::Accept) {
                Ok(event) => Some(event.user.0),
                Err(malformed) => malformed.user_id,
            },
        };
        is_of_kind && user == Some(wanted)
    }
}

fn record(counts: ReplayCounts) {
    for (outcome, count) in [
        ("applied", counts.applied),
        ("duplicate", counts.duplicate),
        ("rejected", counts.rejected),
    ] {
        metrics::counter!("ingest_replayed_events_total", "outcome" => outcome).increment(count);
    }
}
