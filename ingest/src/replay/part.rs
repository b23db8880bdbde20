//! The messages of one lane in a chunk of a replay. Nothing that waits behind an earlier dead letter is applied.

use crate::dead_letters::dead_letters_of;
use crate::plan::{Item, entries};
use crate::stream::Message;
use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use std::collections::{BTreeSet, HashSet};
use tiris_domain::event::{BareSubjects, Kind, Subject};
use tiris_domain::lane::LaneKey;
use tiris_store::dead_letters::{self, Actor};
use tiris_store::drift::DriftCounts;
use tiris_store::error::{Error, Result};
use tiris_store::ledger::{self, Cause, ClaimState, Claims, Disposition, Entry, EventKey, Waiting};
use tiris_store::replay_jobs::ReplayCounts;
use uuid::Uuid;

/// The messages of one lane in a chunk.
pub(super) struct Part {
    pub(super) key: LaneKey,
    pub(super) created_at: i64,
    pub(super) items: Vec<Item>,
    pub(super) job: Uuid,
}

/// The outcome of a part.
pub(super) struct PartDone {
    pub(super) counts: ReplayCounts,
    /// The `timestamp` of the written rows.
    pub(super) timestamp: Option<DateTime<Utc>>,
    /// Users with applied events.
    pub(super) users: BTreeSet<Uuid>,
    /// The drift of the applied events.
    pub(super) drift: DriftCounts,
}

impl Part {
    /// Applies the events that are missing or dead.
    pub(super) async fn apply(
        mut self,
        transaction: &mut PgConnection,
        bare: BareSubjects,
    ) -> Result<PartDone> {
        // Dead letters with automatic retries are retried as by the lane, in the same order.
        let seqs = self.items.iter().map(|item| item.message.stream_seq);
        let first = dead_letters::first_of(transaction, self.key, self.created_at, seqs).await?;
        let ids: Vec<Uuid> = first.iter().map(|dead| dead.id).collect();
        let retried = dead_letters::retry_listed(transaction, &ids, rand::random()).await?;
        // They are not applied once more below: later events would already be in the books.
        let tried: HashSet<u64> = first.iter().map(|dead| dead.stream_seq).collect();
        self.items
            .retain(|item| !tried.contains(&item.message.stream_seq));
        let skipped = match bare {
            BareSubjects::Accept => 0,
            BareSubjects::Refuse => self.skip_bare(transaction).await?,
        };

        let dead = dead_letters::lock_open_of(transaction, entries(&self.items)).await?;
        let waiting = self.waiting(transaction, &dead).await?;
        let seed = rand::random();
        let batch = ledger::apply(transaction, &self.items, Claims::Again, waiting, seed).await?;
        self.close_applied(transaction, &batch.dispositions).await?;
        self.insert_refused(transaction, &batch.dispositions, &dead)
            .await?;
        self.release_malformed(transaction, &batch.dispositions)
            .await?;

        let mut counts = count(&batch.dispositions);
        counts.applied += retried.applied;
        counts.duplicate += skipped;
        counts.rejected += retried.tried.saturating_sub(retried.applied);
        let mut users = retried.users;
        users.extend(self.items.iter().filter_map(Item::user));
        let mut drift = retried.drift;
        drift.merge(&DriftCounts::of(&batch.dispositions));
        Ok(PartDone {
            counts,
            timestamp: retried.timestamp.or(Some(batch.timestamp)),
            users,
            drift,
        })
    }

    /// Removes messages on subjects without a user that would become dead letters only because such subjects are refused now:
    /// events that were processed while they were accepted, and heartbeats. Returns how many were removed.
    async fn skip_bare(&mut self, transaction: &mut PgConnection) -> Result<u64> {
        let stream = self.key.stream;
        let bare = self.items.iter().filter(|item| is_bare(&item.message));
        let bare = bare.map(|item| Item::parse(item.message.clone(), stream, BareSubjects::Accept));
        let bare: Vec<Item> = bare.collect();
        let of_ledger: Vec<&Entry> = entries(&bare).collect();
        let states = ledger::claim_states(transaction, &of_ledger).await?;
        let is_settled = |item: &&Item| {
            let key = item.work().entry().and_then(Entry::event_key);
            let state = key.and_then(|key| states.get(&key));
            is_heartbeat(&item.message) || state.is_some_and(|state| *state != ClaimState::Dead)
        };
        let settled = bare.iter().filter(is_settled);
        let settled: HashSet<u64> = settled.map(|item| item.message.stream_seq).collect();

        let mut removed = 0;
        self.items.retain(|item| {
            let is_settled = settled.contains(&item.message.stream_seq);
            removed += u64::from(is_settled);
            !is_settled
        });
        Ok(removed)
    }

    /// Returns the events that wait behind open dead letters of the lane. Entries that have one themselves hold up nothing
    /// when they fail again.
    async fn waiting(
        &self,
        transaction: &mut PgConnection,
        dead: &HashSet<EventKey>,
    ) -> Result<Waiting> {
        let keys = entries(&self.items).flat_map(Entry::keys).collect();
        let from =
            dead_letters::oldest_blocking(transaction, self.key, self.created_at, keys).await?;
        let is_dead = |entry: &Entry| entry.event_key().is_some_and(|key| dead.contains(&key));
        let last_tries = entries(&self.items)
            .enumerate()
            .filter(|(_, entry)| is_dead(entry));

        Ok(Waiting {
            from,
            last_tries: last_tries.map(|(at, _)| at).collect(),
            ..Waiting::default()
        })
    }

    async fn close_applied(
        &self,
        transaction: &mut PgConnection,
        dispositions: &[Disposition],
    ) -> Result<()> {
        let done = self.items.iter().zip(dispositions);
        let applied = done.filter(|(_, disposition)| disposition.is_applied());
        let applied = applied.filter_map(|(item, _)| item.work().entry());

        dead_letters::close_applied(transaction, applied, &Actor::RangeReplay(self.job)).await
    }

    /// Inserts a dead letter for each refused event that has none.
    async fn insert_refused(
        &self,
        transaction: &mut PgConnection,
        dispositions: &[Disposition],
        dead: &HashSet<EventKey>,
    ) -> Result<()> {
        let mut refused = dead_letters_of(&self.items, dispositions, self.key, self.created_at);
        refused.retain(|new| match (new.user_id, &new.event_id) {
            (Some(user), Some(event_id)) => !dead.contains(&(user, event_id.clone())),
            _ => true,
        });

        dead_letters::insert(transaction, &refused).await
    }

    /// Releases the event ids that refused events have claimed whose messages are malformed dead letters: they claimed no id
    /// when they arrived.
    async fn release_malformed(
        &self,
        transaction: &mut PgConnection,
        dispositions: &[Disposition],
    ) -> Result<()> {
        let done = self.items.iter().zip(dispositions);
        let refused = done.filter(|(_, disposition)| disposition.cause().is_some());
        let refused: Vec<&Entry> = refused
            .filter_map(|(item, _)| item.work().entry())
            .collect();
        let stream = self.key.stream;

        dead_letters::release_malformed(transaction, stream, self.created_at, &refused).await
    }

    /// Inserts dead letters for all messages, whose application failed with `error`.
    pub(super) async fn set_aside(
        self,
        transaction: &mut PgConnection,
        error: &Error,
    ) -> Result<PartDone> {
        let dispositions = vec![Disposition::DeadLetter(Cause::internal(error)); self.items.len()];
        let dead = dead_letters_of(&self.items, &dispositions, self.key, self.created_at);
        dead_letters::insert(transaction, &dead).await?;
        let of_ledger: Vec<&Entry> = entries(&self.items).collect();
        ledger::claim_dead(transaction, &of_ledger).await?;
        self.release_malformed(transaction, &dispositions).await?;

        Ok(PartDone {
            counts: count(&dispositions),
            timestamp: None,
            users: BTreeSet::new(),
            drift: DriftCounts::default(),
        })
    }
}

/// Counts dispositions. A recorded heartbeat counts as a duplicate, because it has no place in the books.
fn count(dispositions: &[Disposition]) -> ReplayCounts {
    let mut counts = ReplayCounts::default();
    for disposition in dispositions {
        match disposition {
            Disposition::Applied(_) => counts.applied += 1,
            Disposition::Recorded | Disposition::Duplicate => counts.duplicate += 1,
            Disposition::DeadLetter(_) | Disposition::Deferred => counts.rejected += 1,
        }
    }
    counts
}

fn is_bare(message: &Message) -> bool {
    Subject::parse(&message.subject).is_some_and(|subject| subject.user.is_none())
}

fn is_heartbeat(message: &Message) -> bool {
    Subject::parse(&message.subject).is_some_and(|subject| subject.kind == Kind::Heartbeat)
}
