//! Logging and metrics for a committed batch, derived from the dispositions of its messages.

use super::counts::Counts;
use super::traces::Traces;
use crate::plan::Item;
use crate::stream::Message;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};
use tiris_domain::event::Subject;
use tiris_domain::lane::LaneKey;
use tiris_store::ledger::Disposition;
use uuid::Uuid;

/// Ids of traces in one line, at most 8 KiB: collectors cut lines at 16 KiB. A batch of more has more lines.
const TRACES_PER_LINE: usize = 64;

/// A batch that is committed.
pub(super) struct Report<'a> {
    pub(super) key: LaneKey,
    pub(super) items: &'a [Item],
    pub(super) dispositions: &'a [Disposition],
    pub(super) traces: &'a Traces,
    pub(super) started: Instant,
}

impl Report<'_> {
    /// Writes the log lines and the metrics.
    pub(super) fn write(&self) -> Counts {
        let counts = Counts::of(self.dispositions);
        self.record(counts);
        if tracing::enabled!(tracing::Level::DEBUG) {
            self.log_each();
        }
        self.log_batch(counts);
        counts
    }

    fn log_batch(&self, counts: Counts) {
        let Some(last) = self.items.last() else {
            return;
        };
        let Counts {
            applied,
            duplicate,
            dead,
            drift,
        } = counts;
        let lane = self.key;
        let cursor = last.message.stream_seq;
        let events = self.items.len();
        let users: BTreeSet<Uuid> = self.items.iter().filter_map(Item::user).collect();
        let single = users.first().filter(|_| users.len() == 1);
        let user_id = single.map(tracing::field::display);
        let users = users.len();
        // A transaction is given up long before half a million years.
        let micros = u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX);

        let ids = self.traces.ids();
        let lines = ids.len().div_ceil(TRACES_PER_LINE).max(1);
        for line in 0..lines {
            let of_line = ids.iter().skip(line * TRACES_PER_LINE);
            let of_line: Vec<&str> = of_line.take(TRACES_PER_LINE).copied().collect();
            let traces = (!of_line.is_empty()).then(|| of_line.join(" "));
            // A macro's level is fixed.
            if dead > 0 || drift > 0 {
                tracing::warn!(%lane, cursor, events, applied, duplicate, dead, drift, users, user_id, micros, traces, "committed, with dead letters or drift");
            } else {
                tracing::info!(%lane, cursor, events, applied, duplicate, users, user_id, micros, traces, "committed");
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

    fn record(&self, counts: Counts) {
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
                let labels = [
                    ("stream", stream),
                    ("class", cause.class().as_str()),
                    ("code", cause.code()),
                ];
                metrics::counter!("ingest_dead_letters_total", &labels).increment(1);
            }
        }

        for ((kind, outcome), count) in outcomes {
            let labels = [("stream", stream), ("type", kind), ("outcome", outcome)];
            metrics::counter!("ingest_events_total", &labels).increment(count);
        }
        if counts.drift > 0 {
            metrics::counter!("ingest_drift_total", "stream" => stream).increment(counts.drift);
        }
        metrics::histogram!("ingest_commit_seconds", "stream" => stream)
            .record(self.started.elapsed());
        // Batches have at most ten thousand events.
        let size = u32::try_from(self.items.len()).unwrap_or(u32::MAX);
        metrics::histogram!("ingest_batch_size", "stream" => stream).record(f64::from(size));
    }
}

/// The type of an event by its subject, which bounds what it can be.
fn kind(message: &Message) -> &'static str {
    Subject::parse(&message.subject).map_or("unknown", |subject| subject.kind.log_type())
}
