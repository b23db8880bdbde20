//! One chunk of a replay: its effects, its dead letters and the progress of the job, in one transaction.
//!
//! A replay applies nothing past a lane's cursor and nothing that is already applied. It locks the rows of the lanes, so that a
//! lane and a replay never process the same user at once.

use super::part::Part;
use crate::context::Context;
use crate::plan::{plan, publisher_of};
use crate::stream::{Message, subjects};
use crate::transaction::{settle, within_limit};
use sqlx::{Connection as _, PgConnection};
use std::collections::{BTreeMap, BTreeSet};
use tiris_domain::event::{self, BareSubjects, Subject};
use tiris_domain::lane::{EventStream, LaneKey};
use tiris_store::drift::DriftCounts;
use tiris_store::error::{Error, Result};
use tiris_store::lanes::LaneState;
use tiris_store::lanes::detours::{self, Detour};
use tiris_store::replay_jobs::{self, Job, ReplayCounts, StreamProgress};
use tiris_store::{dead_letters, lanes, ledger};
use uuid::Uuid;

/// A chunk of a job.
pub(super) struct Chunk<'a> {
    pub(super) job: &'a Job,
    pub(super) stream: EventStream,
    pub(super) at: StreamProgress,
    pub(super) messages: &'a [Message],
    /// Sequence at which the next chunk begins.
    pub(super) next: u64,
}

impl Chunk<'_> {
    /// Commits the chunk. With `failure` the single message becomes a dead letter instead of being applied.
    /// Returns false when another worker runs the job; then nothing is written.
    pub(super) async fn commit(&self, context: &Context, failure: Option<&Error>) -> Result<bool> {
        let mut connection = context.pool.acquire().await?;
        let outcome = within_limit(self.transact(context, &mut connection, failure)).await;
        settle(connection, outcome, |_| true)
    }

    async fn transact(
        &self,
        context: &Context,
        connection: &mut PgConnection,
        failure: Option<&Error>,
    ) -> Result<bool> {
        let mut transaction = connection.begin().await?;
        let stored = replay_jobs::lock_unchanged(&mut transaction, self.job).await?;
        let Some(stored) = stored else {
            return Ok(false);
        };

        let mut total = ReplayCounts::default();
        let mut users = BTreeSet::new();
        let mut drift = DriftCounts::default();
        let mut timestamp = None;
        let parts = self.lock_parts(&mut transaction, context, &mut total);
        for part in parts.await? {
            let done = match failure {
                None => part.apply(&mut transaction, context.bare_subjects).await?,
                Some(error) => part.set_aside(&mut transaction, error).await?,
            };
            total.applied += done.counts.applied;
            total.duplicate += done.counts.duplicate;
            total.rejected += done.counts.rejected;
            timestamp = timestamp.or(done.timestamp);
            users.extend(done.users);
            drift.merge(&done.drift);
        }

        let mut progress = stored.progress.0;
        let next = self.next;
        let stream = self.stream.name().to_owned();
        progress.insert(stream, StreamProgress { next, ..self.at });
        replay_jobs::advance(&mut transaction, self.job.id, &progress, total, false).await?;
        if let Some(timestamp) = timestamp {
            ledger::assert_fresh(&mut transaction, timestamp).await?;
        }
        transaction.commit().await?;
        context.connection.wake_untraced(&users);
        record(total);
        drift.record();
        Ok(true)
    }

    /// Locks the rows of all lanes of the chunk before anything else. Returns the messages that each has processed, without
    /// discarded ones, which count as duplicates.
    async fn lock_parts(
        &self,
        transaction: &mut PgConnection,
        context: &Context,
        total: &mut ReplayCounts,
    ) -> Result<Vec<Part>> {
        let mut parts = Vec::new();
        for (key, mut messages) in self.by_lane(context) {
            let state = lanes::lock(transaction, key).await?;
            // A lane of another stream has processed nothing of this one.
            let Some(state) = state.filter(|state| state.stream_created_at == self.at.created_at)
            else {
                continue;
            };

            let detours = detours::of_lane(&mut *transaction, key).await?;
            messages.retain(|message| message.stream_seq <= done_up_to(message, &state, &detours));
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

    /// Returns the selected messages of each lane in stream order; the lanes in the order in which their rows are locked.
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
            None => {
                let parsed = event::parse(&message.subject, &message.payload, BareSubjects::Accept);
                parsed.ok().map(|event| event.user.0)
            }
        };
        is_of_kind && user == Some(wanted)
    }
}

/// Returns the sequence up to which messages like this one are processed: that of the lane, or of its user's detour.
fn done_up_to(message: &Message, lane: &LaneState, detours: &[Detour]) -> u64 {
    let publisher = publisher_of(&message.subject);
    let detour = detours
        .iter()
        .find(|detour| Some(detour.user_id) == publisher);
    detour.map_or(lane.cursor, |detour| detour.cursor)
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
