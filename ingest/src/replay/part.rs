//! The messages of one lane in a chunk of a replay: nothing that waits behind an earlier letter is applied.

use crate::dead_letters::letters;
use crate::plan::{Item, entries};
use crate::stream::Message;
use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use std::collections::{BTreeSet, HashSet};
use tiris_domain::event::{BareSubjects, Kind, Subject};
use tiris_domain::lane::LaneKey;
use tiris_store::dead_letters::{self, Actor};
use tiris_store::error::{Error, Result};
use tiris_store::ledger::{self, Cause, ClaimState, Claims, Disposition, Entry, EventKey, Waiting};
use tiris_store::replay_jobs::ReplayCounts;
use uuid::Uuid;

/// The messages of one lane.
pub(super) struct Part {
    pub(super) key: LaneKey,
    pub(super) created_at: i64,
    pub(super) items: Vec<Item>,
    pub(super) job: Uuid,
}

/// What became of a part.
pub(super) struct PartDone {
    pub(super) counts: ReplayCounts,
    /// The `timestamp` of the rows that were written.
    pub(super) timestamp: Option<DateTime<Utc>>,
    /// Users of whom something is in the books now.
    pub(super) users: BTreeSet<Uuid>,
}

impl Part {
    /// Applies what is missing or dead.
    pub(super) async fn apply(
        mut self,
        transaction: &mut PgConnection,
        bare: BareSubjects,
    ) -> Result<PartDone> {
        // Letters that are still tried by themselves get the same treatment as by the lane, in the same order.
        let seqs = self.items.iter().map(|item| item.message.stream_seq);
        let turn = dead_letters::first_of(transaction, self.key, self.created_at, seqs).await?;
        let letters: Vec<Uuid> = turn.iter().map(|letter| letter.id).collect();
        let retried = dead_letters::retry_listed(transaction, &letters, rand::random()).await?;
        // One try is enough: in a second one what came later would already be in the books.
        let tried: HashSet<u64> = turn.iter().map(|letter| letter.stream_seq).collect();
        self.items
            .retain(|item| !tried.contains(&item.message.stream_seq));
        let mut passed_over = 0;
        if bare == BareSubjects::Refuse {
            passed_over = self.pass_over_bare(transaction).await?;
        }

        let has_letter = dead_letters::lock_open_of(transaction, entries(&self.items)).await?;
        let waiting = self.waiting(transaction, &has_letter).await?;
        let seed = rand::random();
        let batch = ledger::apply(transaction, &self.items, Claims::Again, waiting, seed).await?;
        self.close_applied(transaction, &batch.dispositions).await?;
        self.keep_refused(transaction, &batch.dispositions, &has_letter)
            .await?;

        let mut counts = count(&batch.dispositions);
        counts.applied += retried.applied;
        counts.duplicate += passed_over;
        counts.rejected += retried.tried.saturating_sub(retried.applied);
        let mut users = retried.users;
        users.extend(self.items.iter().filter_map(Item::user));
        Ok(PartDone {
            counts,
            timestamp: retried.timestamp.or(Some(batch.timestamp)),
            users,
        })
    }

    /// Where subjects without a user are refused now, some may be done from before: these are no new letters. Nor are
    /// heartbeats, which have no place in the books. Returns how many messages were removed.
    async fn pass_over_bare(&mut self, transaction: &mut PgConnection) -> Result<u64> {
        let stream = self.key.stream;
        let bare = self.items.iter().filter(|item| is_bare(&item.message));
        let bare: Vec<Item> = bare
            .map(|item| Item::parse(item.message.clone(), stream, BareSubjects::Accept))
            .collect();
        let of_ledger: Vec<&Entry> = entries(&bare).collect();
        let states = ledger::claim_states(transaction, &of_ledger).await?;
        let is_settled = |item: &&Item| {
            let key = item.work.entry().and_then(Entry::event_key);
            let state = key.and_then(|key| states.get(&key));
            is_heartbeat(&item.message) || state.is_some_and(|state| *state != ClaimState::Dead)
        };
        let settled = bare.iter().filter(is_settled);
        let settled: HashSet<u64> = settled.map(|item| item.message.stream_seq).collect();

        let mut removed = 0;
        self.items.retain(|item| {
            let is_kept = !settled.contains(&item.message.stream_seq);
            removed += u64::from(!is_kept);
            is_kept
        });
        Ok(removed)
    }

    /// What waits behind the open letters of the lane. Entries with a letter that is not retried any more hold up nothing
    /// when they fail again.
    async fn waiting(
        &self,
        transaction: &mut PgConnection,
        has_letter: &HashSet<EventKey>,
    ) -> Result<Waiting> {
        let keys = entries(&self.items).map(Entry::key).collect();
        let from =
            dead_letters::oldest_blocking(transaction, self.key, self.created_at, keys).await?;
        let has_letter = |entry: &Entry| {
            let key = entry.event_key();
            key.is_some_and(|key| has_letter.contains(&key))
        };
        let last_tries = entries(&self.items)
            .enumerate()
            .filter(|(_, entry)| has_letter(entry));

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
        let applied = done
            .filter(|(_, disposition)| disposition.is_applied())
            .filter_map(|(item, _)| item.work.entry());

        dead_letters::close_applied(transaction, applied, &Actor::RangeReplay(self.job)).await
    }

    /// What is refused and has no letter yet gets one.
    async fn keep_refused(
        &self,
        transaction: &mut PgConnection,
        dispositions: &[Disposition],
        has_letter: &HashSet<EventKey>,
    ) -> Result<()> {
        let mut letters = letters(&self.items, dispositions, self.key, self.created_at);
        letters.retain(|letter| match (letter.user_id, &letter.event_id) {
            (Some(user), Some(event_id)) => !has_letter.contains(&(user, event_id.clone())),
            _ => true,
        });

        dead_letters::insert(transaction, &letters).await
    }

    /// Puts everything aside, because applying it failed with `error`.
    pub(super) async fn put_aside(
        self,
        transaction: &mut PgConnection,
        error: &Error,
    ) -> Result<PartDone> {
        let cause = Cause::internal(error);
        let dead = |_: &Item| Disposition::DeadLetter(cause.clone());
        let dispositions: Vec<Disposition> = self.items.iter().map(dead).collect();
        let letters = letters(&self.items, &dispositions, self.key, self.created_at);
        dead_letters::insert(transaction, &letters).await?;
        let of_ledger: Vec<&Entry> = entries(&self.items).collect();
        ledger::claim_dead(transaction, &of_ledger).await?;

        Ok(PartDone {
            counts: count(&dispositions),
            timestamp: None,
            users: BTreeSet::new(),
        })
    }
}

/// A heartbeat is the state of a moment, which counts as done.
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
