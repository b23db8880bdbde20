//! Logging and metrics for a committed batch, derived from the dispositions of its messages.

use super::traces::Traces;
use crate::plan::{Item, entries};
use crate::stream::Message;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};
use tiris_domain::event::{LEFT_OUT, Subject};
use tiris_domain::lane::LaneKey;
use tiris_store::drift::DriftCounts;
use tiris_store::ledger::Disposition;
use uuid::Uuid;

/// Trace ids in one log line, at most 8 KiB: collectors cut lines at 16 KiB. A batch with more traces has more lines.
const TRACES_PER_LINE: usize = 64;
/// Users in a line about dead letters.
const PUBLISHERS_LOGGED: usize = 16;

/// The outcome of a committed batch, in events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Applied events, including heartbeats.
    pub applied: u64,
    /// Events that were processed before.
    pub duplicate: u64,
    /// Events that became dead letters.
    pub dead: u64,
    /// Applied events that differ from the books.
    pub drift: u64,
}

impl Counts {
    fn of(dispositions: &[Disposition]) -> Self {
        let mut counts = Self::default();
        for disposition in dispositions {
            match disposition {
                Disposition::Applied(_) | Disposition::Recorded => counts.applied += 1,
                Disposition::Duplicate => counts.duplicate += 1,
                Disposition::DeadLetter(_) | Disposition::Deferred => counts.dead += 1,
            }
            counts.drift += u64::from(disposition.has_drift());
        }
        counts
    }
}

/// A committed batch.
pub(super) struct Report<'a> {
    pub(super) key: LaneKey,
    pub(super) items: &'a [&'a Item],
    pub(super) dispositions: &'a [Disposition],
    pub(super) traces: &'a Traces,
    pub(super) started: Instant,
}

impl Report<'_> {
    /// Writes log lines and metrics.
    pub(super) fn write(&self) -> Counts {
        let counts = Counts::of(self.dispositions);
        self.record();
        if tracing::enabled!(tracing::Level::DEBUG) {
            self.log_each();
        }
        self.log_batch(counts);
        if counts.dead > 0 {
            self.log_dead_letters(counts.dead);
        }
        counts
    }

    /// Logs the reasons and publishers of the batch's dead letters in one line.
    fn log_dead_letters(&self, dead: u64) {
        let mut codes: BTreeMap<&str, u64> = BTreeMap::new();
        let mut publishers: BTreeSet<Uuid> = BTreeSet::new();
        for (item, disposition) in self.items.iter().zip(self.dispositions) {
            if let Some(cause) = disposition.cause() {
                *codes.entry(cause.code()).or_default() += 1;
                publishers.extend(item.publisher);
            }
        }

        let codes: Vec<String> = codes
            .iter()
            .map(|(code, count)| format!("{code}={count}"))
            .collect();
        let single = publishers.first().filter(|_| publishers.len() == 1);
        let user_id = single.map(tracing::field::display);
        let logged = publishers.iter().take(PUBLISHERS_LOGGED);
        let logged: Vec<String> = logged.map(ToString::to_string).collect();
        tracing::warn!(lane = %self.key, dead, codes = codes.join(" "), user_id, publishers = logged.join(" "), "dead letters stored");
    }

    fn log_batch(&self, counts: Counts) {
        let Some(last) = self.items.last() else {
            return;
        };
        let lane = self.key;
        let cursor = last.message.stream_seq;
        let events = self.items.len();
        let users: BTreeSet<Uuid> = self.items.iter().filter_map(|item| item.user()).collect();
        let single = users.first().filter(|_| users.len() == 1);
        let user_id = single.map(tracing::field::display);
        let users = users.len();
        // The time limit of a transaction is far below the half million years that fit.
        let micros = u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX);

        let ids = self.traces.ids();
        let mut lines: Vec<Option<String>> = ids
            .chunks(TRACES_PER_LINE)
            .map(|ids| Some(ids.join(" ")))
            .collect();
        if lines.is_empty() {
            lines.push(None);
        }
        for traces in lines {
            if counts.dead > 0 || counts.drift > 0 {
                tracing::warn!(%lane, cursor, events, applied = counts.applied, duplicate = counts.duplicate, dead = counts.dead, drift = counts.drift, users, user_id, micros, traces, "committed, with dead letters or drift");
            } else {
                tracing::info!(%lane, cursor, events, applied = counts.applied, duplicate = counts.duplicate, users, user_id, micros, traces, "committed");
            }
        }
    }

    fn log_each(&self) {
        for (at, (item, disposition)) in self.items.iter().zip(self.dispositions).enumerate() {
            let trace_id = self.traces.at(at).unwrap_or(self.traces.batch()).id();
            let user_id = item.user().map(tracing::field::display);
            let outcome = disposition.as_str();
            let code = disposition.cause().map(|cause| cause.code());
            tracing::debug!(trace_id, user_id, lane = %self.key, seq = item.message.stream_seq, kind = kind(&item.message), outcome, code, "event committed");
        }
    }

    fn record(&self) {
        let stream = self.key.stream.name();
        let waited = metrics::histogram!("ingest_publish_to_commit_seconds", "stream" => stream);
        let now = chrono::Utc::now();
        let mut outcomes: BTreeMap<(&str, &str), u64> = BTreeMap::new();
        for (item, disposition) in self.items.iter().zip(self.dispositions) {
            let published = chrono::DateTime::from_timestamp_nanos(item.message.broker_time);
            // The broker's clock may be ahead of ours.
            waited.record((now - published).to_std().unwrap_or(Duration::ZERO));
            let kind = kind(&item.message);
            *outcomes.entry((kind, disposition.as_str())).or_default() += 1;
            if let Some(cause) = disposition.cause() {
                let class = cause.class().as_str();
                metrics::counter!("ingest_dead_letters_total", "stream" => stream, "class" => class, "code" => cause.code())
                    .increment(1);
            }
        }

        for ((kind, outcome), count) in outcomes {
            let labels = [("stream", stream), ("type", kind), ("outcome", outcome)];
            metrics::counter!("ingest_events_total", &labels).increment(count);
        }
        DriftCounts::of(self.dispositions).record();
        let entries = entries(self.items.iter().copied());
        let left_out = entries.filter(|entry| entry.info.contains_key(LEFT_OUT));
        metrics::counter!("ingest_left_out_total", "stream" => stream)
            .increment(left_out.map(|_| 1).sum());
        metrics::histogram!("ingest_commit_seconds", "stream" => stream)
            .record(self.started.elapsed());
        // Batches have at most ten thousand events.
        let size = u32::try_from(self.items.len()).unwrap_or(u32::MAX);
        metrics::histogram!("ingest_batch_size", "stream" => stream).record(f64::from(size));
    }
}

/// Returns the event type that the subject names, which bounds the values of the label.
fn kind(message: &Message) -> &'static str {
    Subject::parse(&message.subject).map_or("unknown", |subject| subject.kind.log_type())
}
