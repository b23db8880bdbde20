//! Users whose messages the lane passes over, because they exceed their quota. The lane processes them when nothing else
//! waits, or for a part of its time; their order and everything else stays the same.
//!
//! Owns which messages are passed over, and whose turn it is. The database holds the truth: what is here is read again when
//! the lane follows a stored position.

use super::quota::Quotas;
use super::share::Share;
use crate::context::Context;
use crate::plan::Item;
use chrono::Utc;
use std::collections::BTreeMap;
use std::time::Duration;
use tiris_domain::lane::LaneKey;
use tiris_store::error::Result;
use tiris_store::lanes::detours::{self, Advance, Detour, Passed};
use uuid::Uuid;

/// Detours take at most one in this many parts of the lane's time while other messages wait.
const PARTS: u32 = 4;

/// The detours of a lane.
#[derive(Debug)]
pub(super) struct Detours {
    /// By user; None before they are read from the database.
    known: Option<BTreeMap<Uuid, Known>>,
    quotas: Quotas,
    share: Share,
    /// The user who had the last turn.
    last: Option<Uuid>,
}

/// A detour.
#[derive(Clone, Copy, Debug)]
struct Known {
    detour: Detour,
    /// Whether it is in the database: it is not before a batch that passes over its first message is committed.
    is_stored: bool,
}

impl Detours {
    pub(super) fn new(quotas: Quotas) -> Self {
        Self {
            known: None,
            quotas,
            share: Share::one_in(PARTS),
            last: None,
        }
    }

    pub(super) const fn are_known(&self) -> bool {
        self.known.is_some()
    }

    /// Reads the stored detours of the lane.
    pub(super) async fn load(&mut self, context: &Context, key: LaneKey) -> Result<()> {
        self.adopt(detours::of_lane(&context.pool, key).await?);
        Ok(())
    }

    fn adopt(&mut self, stored: Vec<Detour>) {
        let known = stored.into_iter().map(|detour| {
            let is_stored = true;
            (detour.user_id, Known { detour, is_stored })
        });
        self.known = Some(known.collect());
    }

    /// Forgets the detours, because the stored ones may differ.
    pub(super) fn forget(&mut self) {
        self.known = None;
    }

    /// Returns whether messages that were passed over are left.
    pub(super) fn are_under_way(&self) -> bool {
        let mut known = self.known.iter().flat_map(BTreeMap::values);
        known.any(|known| known.is_stored)
    }

    /// Begins the detours of users who exceed their quota with the messages that the lane has read.
    pub(super) fn admit(&mut self, read: &[Item]) {
        let known = self.known.get_or_insert_default();
        for item in read {
            let message = &item.message;
            let Some(user) = item.publisher else {
                continue;
            };
            if known.contains_key(&user)
                || self.quotas.take(user, message.broker_time, message.bytes())
            {
                continue;
            }

            let detour = Detour {
                user_id: user,
                cursor: message.stream_seq - 1,
                behind: 0,
                since: Utc::now(),
            };
            let is_stored = false;
            known.insert(user, Known { detour, is_stored });
        }
    }

    /// Returns whether the lane passes over a message that it has read.
    pub(super) fn passes(&self, item: &Item) -> bool {
        let known = self.known.as_ref().zip(item.publisher);
        let detour = known.and_then(|(known, user)| known.get(&user));
        detour.is_some_and(|known| item.message.stream_seq > known.detour.cursor)
    }

    /// Returns the messages of each user that are passed over among `items`.
    pub(super) fn passed(&self, items: &[Item]) -> Vec<Passed> {
        let mut counts: BTreeMap<Uuid, u64> = BTreeMap::new();
        for item in items.iter().filter(|item| self.passes(item)) {
            if let Some(user) = item.publisher {
                *counts.entry(user).or_default() += 1;
            }
        }

        let from = |user: &Uuid| {
            self.known
                .as_ref()?
                .get(user)
                .map(|known| known.detour.cursor)
        };
        let passed = counts.into_iter().filter_map(|(user, count)| {
            let from = from(&user)?;
            Some(Passed { user, from, count })
        });
        passed.collect()
    }

    /// Records that a batch is committed that passed over messages. Returns the users whose detours began.
    pub(super) fn note_passed(&mut self, passed: &[Passed]) -> Vec<Uuid> {
        let mut begun = Vec::new();
        for Passed { user, count, .. } in passed {
            let known = self.known.as_mut().and_then(|known| known.get_mut(user));
            if let Some(known) = known {
                known.detour.behind += count;
                if !std::mem::replace(&mut known.is_stored, true) {
                    begun.push(*user);
                }
            }
        }
        begun
    }

    /// Records that a step of a detour is committed.
    pub(super) fn note_advanced(&mut self, step: &Advance) {
        let Some(known) = &mut self.known else {
            return;
        };
        match (step.to, known.get_mut(&step.user)) {
            (Some(to), Some(known)) => {
                known.detour.cursor = to;
                known.detour.behind = known.detour.behind.saturating_sub(step.count);
            }
            _ => {
                known.remove(&step.user);
            }
        }
    }

    /// Returns the detour that continues now, if any may.
    pub(super) fn next(&mut self) -> Option<Detour> {
        if !self.share.is_free() {
            return None;
        }
        let stored = self.known.as_ref()?.values();
        let stored = stored.filter(|known| known.is_stored);
        let mut users = stored.map(|known| known.detour);
        let first = users.clone().next()?;
        // The users take turns.
        let next = users.find(|detour| Some(detour.user_id) > self.last);

        let next = next.unwrap_or(first);
        self.last = Some(next.user_id);
        Some(next)
    }

    /// Records that a detour took time.
    pub(super) fn take(&mut self, time: Duration) {
        self.share.take(time);
    }

    /// Records that other messages took time.
    pub(super) fn give(&mut self, time: Duration) {
        self.share.give(time);
    }

    /// Records that no other message waits.
    pub(super) fn forgive(&mut self) {
        self.share.forgive();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Quota;
    use crate::stream::{Headers, Message};
    use proptest::prelude::*;
    use tiris_domain::event::BareSubjects;
    use tiris_domain::lane::EventStream;

    const SECOND: i64 = 1_000_000_000;
    /// Two messages at once, and one every three seconds.
    const QUOTA: Quota = Quota {
        events_per_minute: Some(20),
        bytes_per_minute: None,
    };

    fn item(user: u128, stream_seq: u64) -> Item {
        let message = Message {
            subject: format!("trading.balance.updated.0.{}", Uuid::from_u128(user)),
            payload: bytes::Bytes::new(),
            headers: Headers::new(),
            stream_seq,
            broker_time: i64::try_from(stream_seq).expect("a sequence") * SECOND,
        };
        Item::parse(message, EventStream::Trading, BareSubjects::Refuse)
    }

    /// A step of the lane, or an accident.
    #[derive(Clone, Copy, Debug)]
    enum Op {
        /// Reads messages.
        Read(usize),
        /// Commits messages that were read.
        Commit(usize),
        /// Continues a detour with messages that were passed over.
        Detour(usize),
        /// The same two, committed although the lane does not learn of it.
        LostCommit(usize),
        LostDetour(usize),
        /// Another owner continues.
        Handover,
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            4 => (1usize..9).prop_map(Op::Read),
            4 => (1usize..9).prop_map(Op::Commit),
            2 => (1usize..5).prop_map(Op::Detour),
            1 => (1usize..9).prop_map(Op::LostCommit),
            1 => (1usize..5).prop_map(Op::LostDetour),
            1 => Just(Op::Handover),
        ]
    }

    /// A lane as the database and the stream see it, and the lane's own view.
    struct Model {
        stream: Vec<Item>,
        cursor: u64,
        stored: BTreeMap<Uuid, Detour>,
        processed: Vec<(Uuid, u64)>,
        /// What the lane has read and not committed.
        pending: Vec<Item>,
        detours: Detours,
    }

    impl Model {
        fn new(users: &[u128]) -> Self {
            let stream = users.iter().zip(1..);
            Self {
                stream: stream.map(|(user, seq)| item(*user, seq)).collect(),
                cursor: 0,
                stored: BTreeMap::new(),
                processed: Vec::new(),
                pending: Vec::new(),
                detours: Detours::new(Quotas::new(QUOTA)),
            }
        }

        /// Reads the stored state again.
        fn follow(&mut self) {
            self.pending.clear();
            self.detours.adopt(self.stored.values().copied().collect());
        }

        fn read(&mut self, count: usize) {
            if self.pending.is_empty() {
                let unread = self.stream.iter();
                let unread = unread.filter(|item| item.message.stream_seq > self.cursor);
                self.pending = unread.take(count).cloned().collect();
                self.detours.admit(&self.pending);
            }
        }

        fn process<'a>(processed: &mut Vec<(Uuid, u64)>, items: impl Iterator<Item = &'a Item>) {
            let events =
                items.map(|item| (item.publisher.expect("a user"), item.message.stream_seq));
            processed.extend(events);
        }

        fn commit(&mut self, count: usize, is_lost: bool) {
            let taken = count.min(self.pending.len());
            let items: Vec<Item> = self.pending.drain(..taken).collect();
            let Some(last) = items.last() else {
                return;
            };
            let passed = self.detours.passed(&items);
            let kept = items.iter().filter(|item| !self.detours.passes(item));
            Self::process(&mut self.processed, kept);
            self.cursor = last.message.stream_seq;
            for Passed { user, from, count } in &passed {
                let stored = self.stored.entry(*user).or_insert(Detour {
                    user_id: *user,
                    cursor: *from,
                    behind: 0,
                    since: Utc::now(),
                });
                stored.behind += count;
            }

            if is_lost {
                self.follow();
            } else {
                self.detours.note_passed(&passed);
            }
        }

        fn detour(&mut self, count: usize, is_lost: bool) {
            self.detours.forgive();
            let Some(detour) = self.detours.next() else {
                return;
            };
            let stored = self.stored[&detour.user_id];
            assert_eq!(stored.cursor, detour.cursor);
            assert_eq!(stored.behind, detour.behind);
            let left = self.stream.iter().filter(|item| {
                let seq = item.message.stream_seq;
                let is_left = detour.cursor < seq && seq <= self.cursor;
                is_left && item.publisher == Some(detour.user_id)
            });
            let items: Vec<&Item> = left.take(count).collect();
            let count = items.iter().map(|_| 1).sum();
            let last = items.last().map(|item| item.message.stream_seq);
            let step = Advance {
                user: detour.user_id,
                from: detour.cursor,
                to: last.filter(|_| count < detour.behind),
                count,
            };
            Self::process(&mut self.processed, items.into_iter());

            match (step.to, self.stored.get_mut(&step.user)) {
                (Some(to), Some(stored)) => {
                    stored.cursor = to;
                    stored.behind -= count;
                }
                _ => {
                    self.stored.remove(&step.user);
                }
            }
            if is_lost {
                self.follow();
            } else {
                self.detours.note_advanced(&step);
            }
        }

        fn run(&mut self, op: Op) {
            match op {
                Op::Read(count) => self.read(count),
                Op::Commit(count) => self.commit(count, false),
                Op::Detour(count) => self.detour(count, false),
                Op::LostCommit(count) => self.commit(count, true),
                Op::LostDetour(count) => self.detour(count, true),
                Op::Handover => {
                    self.detours = Detours::new(Quotas::new(QUOTA));
                    self.follow();
                }
            }
        }

        fn finish(&mut self) {
            while self.cursor < u64::try_from(self.stream.len()).expect("a length") {
                self.read(7);
                self.commit(7, false);
            }
            while self.detours.are_under_way() {
                self.detour(3, false);
            }
        }
    }

    proptest! {
        /// Whatever happens on the way, each message is processed once, and those of a user in their order.
        #[test]
        fn each_message_is_processed_once_and_in_the_order_of_its_user(
            users in prop::collection::vec(1u128..4, 0..60),
            ops in prop::collection::vec(op(), 0..80),
        ) {
            let mut model = Model::new(&users);
            model.detours.adopt(Vec::new());

            for op in ops {
                model.run(op);
            }
            model.finish();

            prop_assert!(model.stored.is_empty());
            for user in (1..4).map(Uuid::from_u128) {
                let of_user = |events: &[(Uuid, u64)]| {
                    let events = events.iter().filter(|(owner, _)| *owner == user);
                    events.map(|(_, seq)| *seq).collect::<Vec<_>>()
                };
                let published = model.stream.iter();
                let published = published.map(|item| (item.publisher.expect("a user"), item.message.stream_seq));
                prop_assert_eq!(of_user(&model.processed), of_user(&published.collect::<Vec<_>>()));
            }
        }
    }

    #[test]
    fn users_within_their_quota_are_not_passed_over() {
        let mut model = Model::new(&[1, 1, 1, 1, 1, 1, 2]);

        model.detours.adopt(Vec::new());
        model.read(7);
        model.commit(7, false);

        let seqs: Vec<u64> = model.processed.iter().map(|(_, seq)| *seq).collect();
        assert_eq!(seqs, [1, 2, 7]);
        let detour = model.stored[&Uuid::from_u128(1)];
        assert_eq!(detour.cursor, 2);
        assert_eq!(detour.behind, 4);
    }
}
