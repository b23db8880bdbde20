//! Messages that were read and not committed, and what they say.
//!
//! Owns: that messages and plan belong together. Must not know: where messages come from, SQL.

use crate::plan::Plan;
use crate::reader::{Incoming, LaneId};
use tiris_domain::event::BareSubjects;

/// In stream order.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    messages: Vec<Incoming>,
    /// Of all messages; none once it was taken, or messages were removed.
    plan: Option<Plan>,
    bytes: usize,
}

impl Gathered {
    pub(super) fn messages(&self) -> &[Incoming] {
        &self.messages
    }

    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.messages.len()
    }

    /// Bytes of everything that was put in.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes a message and parses it.
    pub(super) fn push(&mut self, message: Incoming, id: LaneId, bare: BareSubjects) {
        if self.messages.is_empty() {
            self.plan = Some(Plan::default());
        }
        if let Some(plan) = &mut self.plan {
            plan.parse(self.messages.len(), &message, id, bare);
        }
        self.bytes += message.bytes();
        self.messages.push(message);
    }

    /// The plan of the first `taken` messages: the one that was made while they came, else a new one.
    pub(super) fn plan(&mut self, taken: usize, id: LaneId, bare: BareSubjects) -> Plan {
        let made = self.plan.take().filter(|_| taken == self.messages.len());
        made.unwrap_or_else(|| Plan::new(&self.messages[..taken], id, bare))
    }

    /// Removes the first `taken` messages; answers with the last of them.
    pub(super) fn remove(&mut self, taken: usize) -> Option<Incoming> {
        self.plan = None;
        self.messages.drain(..taken).next_back()
    }

    /// Removes what stands up to `seq` in the stream.
    pub(super) fn remove_up_to(&mut self, seq: u64) {
        self.plan = None;
        self.messages.retain(|message| message.stream_seq > seq);
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::EventStream;
    use bytes::Bytes;
    use std::collections::BTreeMap;

    const LANE: LaneId = LaneId {
        stream: EventStream::Trading,
        lane: 0,
    };

    fn gathered(seqs: std::ops::RangeInclusive<u64>) -> Gathered {
        let mut gathered = Gathered::default();
        for stream_seq in seqs {
            let (subject, payload) = ("trading.unknown".to_owned(), Bytes::from_static(b"{}"));
            let message = Incoming {
                subject,
                payload,
                headers: BTreeMap::new(),
                stream_seq,
                broker_time: 0,
            };
            gathered.push(message, LANE, BareSubjects::Accept);
        }
        gathered
    }

    /// The messages of a plan, all of which are no events.
    fn planned(gathered: &mut Gathered, taken: usize) -> Vec<usize> {
        let plan = gathered.plan(taken, LANE, BareSubjects::Accept);
        plan.malformed.into_iter().map(|(at, _)| at).collect()
    }

    #[test]
    fn the_plan_is_of_the_messages_it_is_asked_for_whatever_was_made_or_removed_before() {
        let mut all = gathered(1..=4);
        assert_eq!(
            planned(&mut all, 4),
            [0, 1, 2, 3],
            "the one made on the way"
        );
        assert_eq!(planned(&mut all, 4), [0, 1, 2, 3], "made again");
        let mut half = gathered(1..=4);
        assert_eq!(planned(&mut half, 2), [0, 1]);
        let mut removed = gathered(1..=4);
        assert_eq!(removed.remove(1).map(|message| message.stream_seq), Some(1));
        assert_eq!(planned(&mut removed, 3), [0, 1, 2]);
        let mut known = gathered(1..=4);
        known.remove_up_to(3);
        assert_eq!(
            (planned(&mut known, 1), known.messages()[0].stream_seq),
            (vec![0], 4)
        );
        known.clear();
        assert!(known.is_empty() && known.bytes() == 0);
    }
}
