//! One chunk of a replay: its effects, its letters and how far the job is, in one transaction.
//!
//! Owns: what a replay may touch: nothing past a lane's cursor, nothing that is done, nothing that waits behind an earlier
//! letter. The rows of the lanes are locked, so that a lane and a replay never work on the same user at once. Must not
//! know: how messages are read, when.

use crate::context::Context;
use crate::lane::{lane_column, settle, within_limit};
use crate::plan::{self, Counts, Plan};
use crate::reader::{Incoming, LaneId};
use crate::stream::EventStream;
use chrono::{DateTime, Utc};
use sqlx::{Connection as _, PgConnection};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use tiris_domain::event::{self, BareSubjects, Kind, Subject};
use tiris_store::dead_letters::{self, Actor};
use tiris_store::error::{Error, Result};
use tiris_store::ledger::{self, Batch, Claims, Entry, Waiting};
use tiris_store::replay_jobs::{self, Job, StreamProgress};
use tiris_store::{bots, lanes};
use uuid::Uuid;

/// What a chunk is about.
pub(super) struct Chunk<'a> {
    pub(super) job: &'a Job,
    pub(super) stream: EventStream,
    pub(super) at: StreamProgress,
    pub(super) messages: &'a [Incoming],
    /// Where the chunk after this one begins.
    pub(super) next: u64,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Done {
    Committed,
    /// Another worker is at the job.
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
        let name = self.stream.name();
        let now = replay_jobs::lock_next(&mut transaction).await?;
        let is_ours = |now: &Job| now.id == self.job.id && now.progress.get(name) == Some(&self.at);
        let Some(now) = now.filter(is_ours) else {
            return Ok(Done::Elsewhere);
        };
        let (mut total, mut timestamp, mut users) = (Counts::default(), None, BTreeSet::new());
        let parts = self
            .lock_done(&mut transaction, context, &mut total.duplicate)
            .await?;
        for (id, messages) in parts {
            let part = Part {
                id,
                created_at: self.at.created_at,
                messages: &messages,
                job: self.job.id,
            };
            let (counts, at) = match failure {
                None => {
                    part.apply(&mut transaction, context.bare_subjects, &mut users)
                        .await?
                }
                Some(error) => {
                    part.put_aside(&mut transaction, context.bare_subjects, error)
                        .await?
                }
            };
            total.applied += counts.applied;
            total.duplicate += counts.duplicate;
            total.dead += counts.dead;
            timestamp = timestamp.or(at);
        }
        let mut progress = now.progress.0.clone();
        progress.insert(
            name.to_owned(),
            StreamProgress {
                next: self.next,
                ..self.at
            },
        );
        let outcome = replay_jobs::Outcome {
            applied: column(total.applied),
            duplicate: column(total.duplicate),
            rejected: column(total.dead),
        };
        replay_jobs::advance(&mut transaction, self.job.id, &progress, outcome, false).await?;
        if let Some(timestamp) = timestamp {
            ledger::assert_fresh(&mut transaction, timestamp).await?;
        }
        transaction.commit().await?;
        context.connection.tell_committed_untraced(&users);
        record(total);
        Ok(Done::Committed)
    }

    /// Locks the rows of all lanes of the chunk before anything else, and answers the messages that each has done, but for
    /// those a person gave up.
    async fn lock_done(
        &self,
        transaction: &mut PgConnection,
        context: &Context,
        passed_over: &mut u64,
    ) -> Result<Vec<(LaneId, Vec<Incoming>)>> {
        let mut parts = Vec::new();
        for (id, mut messages) in self.by_lane(context) {
            let state = lanes::lock(transaction, self.stream.name(), lane_column(id)).await?;
            // A lane that belongs to another stream has done nothing of this one.
            let Some(state) = state.filter(|state| state.stream_created_at == self.at.created_at)
            else {
                continue;
            };
            messages.retain(|message| column(message.stream_seq) <= state.cursor);
            let sequences: Vec<i64> = messages
                .iter()
                .map(|message| column(message.stream_seq))
                .collect();
            let (stream, created_at) = (self.stream.name(), self.at.created_at);
            let discarded =
                dead_letters::discarded_of(transaction, stream, created_at, &sequences).await?;
            messages.retain(|message| !discarded.contains(&column(message.stream_seq)));
            *passed_over += u64::try_from(discarded.len()).unwrap_or(0);
            if !messages.is_empty() {
                parts.push((id, messages));
            }
        }
        Ok(parts)
    }

    /// The selected messages of each lane, in stream order; lanes in the order in which their rows are locked.
    fn by_lane(&self, context: &Context) -> BTreeMap<LaneId, Vec<Incoming>> {
        let mut lanes: BTreeMap<LaneId, Vec<Incoming>> = BTreeMap::new();
        for message in self.messages.iter().filter(|message| self.selects(message)) {
            let Some(lane) = self.stream.lane_of_subject(&message.subject, context.lanes) else {
                continue;
            };
            lanes
                .entry(LaneId {
                    stream: self.stream,
                    lane,
                })
                .or_default()
                .push(message.clone());
        }
        lanes
    }

    fn selects(&self, message: &Incoming) -> bool {
        let subject = Subject::parse(&message.subject);
        let of_kind = subject
            .as_ref()
            .map_or(self.job.event_types.is_none(), |subject| {
                self.job.selects(subject.kind)
            });
        let Some(wanted) = self.job.user_id else {
            return of_kind;
        };
        let user = match subject.and_then(|subject| subject.user) {
            Some(token) => Uuid::try_parse(&token).ok(),
            None => match event::parse(&message.subject, &message.payload, BareSubjects::Accept) {
                Ok(event) => Some(event.user.0),
                Err(malformed) => malformed.user_id,
            },
        };
        of_kind && user == Some(wanted)
    }
}

/// The messages of one lane.
struct Part<'a> {
    id: LaneId,
    created_at: i64,
    messages: &'a [Incoming],
    job: Uuid,
}

impl Part<'_> {
    async fn apply(
        &self,
        transaction: &mut PgConnection,
        bare: BareSubjects,
        users: &mut BTreeSet<Uuid>,
    ) -> Result<(Counts, Option<DateTime<Utc>>)> {
        let (stream, lane) = (self.id.stream.name(), lane_column(self.id));
        // Letters that are still tried by themselves get the same treatment as by the lane, in the same order.
        let sequences: Vec<i64> = self
            .messages
            .iter()
            .map(|message| column(message.stream_seq))
            .collect();
        let turn =
            dead_letters::first_of(transaction, stream, lane, self.created_at, &sequences).await?;
        let (letters, tried): (Vec<Uuid>, HashSet<i64>) = turn.into_iter().unzip();
        let retried = dead_letters::retry_listed(transaction, &letters, rand::random()).await?;
        // One try is enough: in a second one what came later would already be in the books.
        let left = self
            .messages
            .iter()
            .filter(|message| !tried.contains(&column(message.stream_seq)));
        let mut left: Vec<Incoming> = left.cloned().collect();
        let came = left.len();
        self.pass_over_bare(transaction, &mut left, bare).await?;
        let passed_over = came - left.len();
        let plan = Plan::new(&left, self.id, bare);
        let has_letter = dead_letters::lock_open_of(transaction, plan.entries.iter()).await?;
        let from =
            dead_letters::oldest_blocking(transaction, stream, lane, self.created_at, plan.keys())
                .await?;
        let waiting = Waiting {
            from,
            last_tries: given_up(&plan, &has_letter),
            ..Waiting::default()
        };
        let batch = ledger::apply_events(
            transaction,
            &plan.entries,
            Claims::Again,
            waiting,
            rand::random(),
        )
        .await?;
        bots::keep_latest(transaction, &plan.beats).await?;
        users.extend(plan.users().map(|(user, _)| user));
        users.extend(&retried.users);
        let applied = batch.applied(&plan.entries);
        dead_letters::close_applied(transaction, applied, &Actor::RangeReplay(self.job)).await?;
        let mut counts = self
            .keep_refused(transaction, (&plan, &left), &batch, &has_letter)
            .await?;
        counts.applied += retried.applied;
        counts.duplicate += u64::try_from(passed_over).unwrap_or(0);
        counts.dead += retried.tried.saturating_sub(retried.applied);
        Ok((counts, retried.timestamp.or(Some(batch.timestamp))))
    }

    /// Where subjects without a user are refused now, some may be done from before: these are no new letters. Nor are
    /// heartbeats, which have no place in the books.
    async fn pass_over_bare(
        &self,
        transaction: &mut PgConnection,
        messages: &mut Vec<Incoming>,
        bare: BareSubjects,
    ) -> Result<()> {
        if bare == BareSubjects::Accept {
            return Ok(());
        }
        let is_bare =
            |message: &Incoming| Subject::parse(&message.subject).is_some_and(|s| s.user.is_none());
        let candidates: Vec<Incoming> = messages
            .iter()
            .filter(|message| is_bare(message))
            .cloned()
            .collect();
        let plan = Plan::new(&candidates, self.id, BareSubjects::Accept);
        let outcomes = ledger::outcomes_of(transaction, &plan.entries).await?;
        let is_done = |entry: &Entry| {
            let key = entry
                .claim
                .as_ref()
                .map(|claim| (entry.user.0, claim.event_id.clone()));
            key.and_then(|key| outcomes.get(&key))
                .is_some_and(|outcome| outcome != "dead")
        };
        let entries = plan.entries.iter().zip(&plan.entry_messages);
        let mut done: HashSet<u64> = entries
            .filter(|(entry, _)| is_done(entry))
            .map(|(_, at)| candidates[*at].stream_seq)
            .collect();
        let is_beat = |message: &&Incoming| {
            Subject::parse(&message.subject).is_some_and(|subject| subject.kind == Kind::Heartbeat)
        };
        done.extend(
            candidates
                .iter()
                .filter(is_beat)
                .map(|message| message.stream_seq),
        );
        messages.retain(|message| !done.contains(&message.stream_seq));
        Ok(())
    }

    /// What is refused and has no letter yet gets one.
    async fn keep_refused(
        &self,
        transaction: &mut PgConnection,
        (plan, messages): (&Plan, &[Incoming]),
        batch: &Batch,
        has_letter: &HashSet<(Uuid, String)>,
    ) -> Result<Counts> {
        let (mut letters, counts) = plan.letters(messages, self.id, self.created_at, batch);
        letters.retain(|letter| match (letter.user_id, &letter.event_id) {
            (Some(user), Some(event_id)) => !has_letter.contains(&(user, event_id.clone())),
            _ => true,
        });
        dead_letters::insert(transaction, &letters).await?;
        // A heartbeat is the state of a moment and has no place in the books.
        let beats = u64::try_from(plan.beats.len()).unwrap_or(0);
        Ok(Counts {
            applied: counts.applied - beats,
            duplicate: counts.duplicate + beats,
            ..counts
        })
    }

    async fn put_aside(
        &self,
        transaction: &mut PgConnection,
        bare: BareSubjects,
        error: &Error,
    ) -> Result<(Counts, Option<DateTime<Utc>>)> {
        let letters: Vec<_> = self
            .messages
            .iter()
            .map(|message| plan::internal_letter(message, self.id, self.created_at, bare, error))
            .collect();
        dead_letters::insert(transaction, &letters).await?;
        ledger::claim_dead(
            transaction,
            &Plan::new(self.messages, self.id, bare).entries,
        )
        .await?;
        Ok((
            Counts {
                dead: u64::try_from(letters.len()).unwrap_or(0),
                ..Counts::default()
            },
            None,
        ))
    }
}

/// Places of entries with a letter nobody tries by itself any more: when they fail again, nothing waits behind them.
fn given_up(plan: &Plan, has_letter: &HashSet<(Uuid, String)>) -> BTreeSet<usize> {
    let has = |entry: &Entry| {
        entry
            .claim
            .as_ref()
            .is_some_and(|claim| has_letter.contains(&(entry.user.0, claim.event_id.clone())))
    };
    (0..plan.entries.len())
        .filter(|at| has(&plan.entries[*at]))
        .collect()
}

fn record(counts: Counts) {
    for (outcome, count) in [
        ("applied", counts.applied),
        ("duplicate", counts.duplicate),
        ("rejected", counts.dead),
    ] {
        metrics::counter!("ingest_replayed_events_total", "outcome" => outcome).increment(count);
    }
}

fn column(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
