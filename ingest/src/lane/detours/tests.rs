//! A model of a lane with detours: accidents change nothing about what is processed, and in which order.

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
    Item::new(message, EventStream::Trading, BareSubjects::Refuse)
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
        let events = items.map(|item| (item.publisher.expect("a user"), item.message.stream_seq));
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
