//! The traces of a batch, read from the headers of its messages.

use crate::plan::Item;
use crate::stream::Message;
use std::collections::{BTreeMap, BTreeSet};
use tiris_runtime::trace::{REQUEST_ID, TRACEPARENT, Trace, TraceContext};
use uuid::Uuid;

/// The trace of each message, and that of the batch.
#[derive(Debug)]
pub(super) struct Traces {
    of: Vec<Option<Trace>>,
    batch: Trace,
}

impl Traces {
    pub(super) fn of(items: &[&Item]) -> Self {
        Self::of_messages(items.iter().map(|item| &item.message))
    }

    fn of_messages<'a>(messages: impl Iterator<Item = &'a Message>) -> Self {
        let of: Vec<Option<Trace>> = messages.map(trace_of).collect();
        let mut named = of.iter().flatten();
        let first = named.next();
        // A batch with a single trace continues it; a batch with several is a new trace, linked to all of them.
        let batch = match first {
            Some(first) if named.all(|other| other.id() == first.id()) => first.clone(),
            _ => Trace::begin(),
        };
        Self { of, batch }
    }

    /// Returns the trace of the transaction.
    pub(super) const fn batch(&self) -> &Trace {
        &self.batch
    }

    /// Returns the trace of one message.
    pub(super) fn at(&self, message: usize) -> Option<&Trace> {
        self.of.get(message).and_then(Option::as_ref)
    }

    /// Returns the distinct trace ids of the messages.
    pub(super) fn ids(&self) -> Vec<&str> {
        let all: BTreeSet<&str> = self.of.iter().flatten().map(Trace::id).collect();
        all.into_iter().collect()
    }

    /// Returns the other traces that the batch is linked to.
    pub(super) fn links(&self) -> impl Iterator<Item = TraceContext> {
        let traces = self.of.iter().flatten();
        let others = traces.filter(|trace| trace.id() != self.batch.id());
        others.filter_map(Trace::parent)
    }

    /// Returns for each user of `items` the traces of their messages, or the trace of the batch when they have none.
    pub(super) fn by_user(&self, items: &[&Item]) -> BTreeMap<Uuid, Vec<Trace>> {
        let users = items.iter().map(|item| item.user()).enumerate();
        self.group(users.filter_map(|(at, user)| Some((user?, at))))
    }

    fn group(&self, users: impl Iterator<Item = (Uuid, usize)>) -> BTreeMap<Uuid, Vec<Trace>> {
        let mut by_user: BTreeMap<Uuid, Vec<Trace>> = BTreeMap::new();
        for (user, message) in users {
            let known = by_user.entry(user).or_default();
            let named = self.at(message);
            let Some(trace) =
                named.filter(|trace| known.iter().all(|other| other.id() != trace.id()))
            else {
                continue;
            };
            known.push(if trace.id() == self.batch.id() {
                self.batch.clone()
            } else {
                trace.passed_on()
            });
        }

        for traces in by_user.values_mut().filter(|traces| traces.is_empty()) {
            traces.push(self.batch.clone());
        }
        by_user
    }
}

/// Returns the trace in the headers of a message. Header names are compared without case, because client libraries
/// spell them differently.
fn trace_of(message: &Message) -> Option<Trace> {
    if message.headers.is_empty() {
        return None;
    }
    let header = |name: &str| {
        let mut headers = message.headers.iter();
        let (_, values) = headers.find(|(given, _)| given.eq_ignore_ascii_case(name))?;
        values.first().map(String::as_str)
    };
    Trace::of_headers(header(REQUEST_ID), header(TRACEPARENT))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    const ONE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    const OTHER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn message(name: &str, value: &str) -> Message {
        let headers = if value.is_empty() {
            BTreeMap::new()
        } else {
            BTreeMap::from([(name.to_owned(), vec![value.to_owned()])])
        };

        Message {
            subject: String::new(),
            payload: Bytes::new(),
            headers,
            stream_seq: 1,
            broker_time: 0,
        }
    }

    #[test]
    fn a_batch_continues_its_only_trace() {
        let messages = [
            message("Traceparent", ONE),
            message("", ""),
            message("traceparent", ONE),
        ];

        let alone = Traces::of_messages(messages.iter());

        assert_eq!(alone.batch().id(), &ONE[3..35]);
        assert_eq!(alone.ids().len(), 1);
        assert_eq!(alone.links().count(), 0);
    }

    #[test]
    fn a_batch_is_linked_to_several_traces() {
        let messages = [message("traceparent", ONE), message("traceparent", OTHER)];

        let mixed = Traces::of_messages(messages.iter());

        assert_eq!(mixed.ids().len(), 2);
        assert_eq!(mixed.links().count(), 2);
        assert!(!mixed.ids().contains(&mixed.batch().id()));
    }

    #[test]
    fn a_batch_without_traces_has_no_ids() {
        let messages = [message("", "")];

        assert!(Traces::of_messages(messages.iter()).ids().is_empty());
    }

    #[test]
    fn users_get_their_own_traces_or_that_of_the_batch() {
        let ann = Uuid::from_u128(1);
        let bob = Uuid::from_u128(2);
        let messages = [
            message("traceparent", ONE),
            message("traceparent", OTHER),
            message("", ""),
        ];
        let traces = Traces::of_messages(messages.iter());

        let by_user = traces.group([(ann, 0), (ann, 1), (ann, 0), (bob, 2)].into_iter());

        let contexts: Vec<String> = by_user[&ann].iter().map(Trace::traceparent).collect();
        assert_eq!(
            contexts,
            [ONE, OTHER],
            "spans of the bot itself, none of ours between"
        );
        let ids: Vec<&str> = by_user[&bob].iter().map(Trace::id).collect();
        assert_eq!(ids, [traces.batch().id()]);
    }
}
