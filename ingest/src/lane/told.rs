//! What a lane tells of a batch that is committed: one line, and its figures.
//!
//! Owns: the line, those of single events at DEBUG, and the metrics. Must not know: how a batch is committed.

use super::Lane;
use super::traces::Traces;
use crate::plan::{Counts, Fate};
use crate::reader::Incoming;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};
use tiris_domain::event::Subject;
use uuid::Uuid;

/// Ids of traces in one line, at most 8 KiB: collectors cut lines at 16 KiB. A batch of more has more lines.
const TRACES_PER_LINE: usize = 64;

/// A batch that is committed.
#[derive(Default)]
pub(super) struct Done {
    pub(super) counts: Counts,
    /// What became of each message.
    pub(super) fates: Vec<Fate>,
    /// Whose they are, as far as they are entries of the ledger.
    pub(super) users: Vec<(Uuid, usize)>,
}

impl Lane {
    /// To be called before the lane goes on behind the batch.
    pub(super) fn tell_done(&self, done: &Done, traces: &Traces, started: Instant) {
        let messages = &self.pending.messages()[..done.fates.len()];
        self.record(done, messages, started.elapsed());
        if tracing::enabled!(tracing::Level::DEBUG) {
            self.tell_each(done, messages, traces);
        }
        let Some(last) = messages.last() else { return };
        let Counts {
            applied,
            duplicate,
            dead,
            drift,
        } = done.counts;
        let users: BTreeSet<Uuid> = done.users.iter().map(|(user, _)| *user).collect();
        let user_id = users
            .first()
            .filter(|_| users.len() == 1)
            .map(tracing::field::display);
        let micros = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
        let (events, users, ids) = (messages.len(), users.len(), traces.ids());
        let lines = if ids.is_empty() {
            vec![ids.as_slice()]
        } else {
            ids.chunks(TRACES_PER_LINE).collect()
        };
        for ids in lines {
            let traces = (!ids.is_empty()).then(|| ids.join(" "));
            // A macro's level is fixed.
            if dead > 0 || drift > 0 {
                tracing::warn!(lane = %self.id, cursor = last.stream_seq, events, applied, duplicate, dead, drift, users, user_id, micros, traces, "committed, with dead letters or drift");
            } else {
                tracing::info!(lane = %self.id, cursor = last.stream_seq, events, applied, duplicate, users, user_id, micros, traces, "committed");
            }
        }
    }

    fn tell_each(&self, done: &Done, messages: &[Incoming], traces: &Traces) {
        let users: BTreeMap<usize, Uuid> =
            done.users.iter().map(|(user, at)| (*at, *user)).collect();
        for (at, (message, fate)) in messages.iter().zip(&done.fates).enumerate() {
            let trace_id = traces.at(at).unwrap_or(traces.batch()).id();
            let user_id = users.get(&at).map(tracing::field::display);
            let (outcome, code) = (fate.outcome(), fate.code());
            tracing::debug!(trace_id, user_id, lane = %self.id, seq = message.stream_seq, kind = kind(message), outcome, code, "event committed");
        }
    }

    fn record(&self, done: &Done, messages: &[Incoming], took: Duration) {
        let stream = self.id.stream.name();
        let waited = metrics::histogram!("ingest_publish_to_commit_seconds", "stream" => stream);
        let now = chrono::Utc::now().timestamp_nanos_opt().unwrap_or(i64::MAX);
        let mut outcomes: BTreeMap<(&str, &str), u64> = BTreeMap::new();
        for (message, fate) in messages.iter().zip(&done.fates) {
            let since = now.saturating_sub(message.broker_time);
            waited.record(Duration::from_nanos(u64::try_from(since).unwrap_or(0)));
            *outcomes.entry((kind(message), fate.outcome())).or_default() += 1;
            if let Fate::Dead(class, code) = fate {
                metrics::counter!("ingest_dead_letters_total", "stream" => stream, "class" => class.as_str(), "code" => *code)
                    .increment(1);
            }
        }
        for ((kind, outcome), count) in outcomes {
            let labels = [
                ("stream", stream.to_owned()),
                ("type", kind.to_owned()),
                ("outcome", outcome.to_owned()),
            ];
            metrics::counter!("ingest_events_total", &labels).increment(count);
        }
        if done.counts.drift > 0 {
            metrics::counter!("ingest_drift_total", "stream" => stream)
                .increment(done.counts.drift);
        }
        metrics::histogram!("ingest_commit_seconds", "stream" => stream).record(took);
        let size = u32::try_from(messages.len()).unwrap_or(u32::MAX);
        metrics::histogram!("ingest_batch_size", "stream" => stream).record(f64::from(size));
    }
}

/// The type of an event by its subject, which bounds what it can be.
fn kind(message: &Incoming) -> &'static str {
    Subject::parse(&message.subject).map_or("unknown", |subject| subject.kind.log_type())
}
