//! The gauges of lanes and dead letters, and the counters that start at zero.

use super::{Condition, Lag, Line};
use crate::stream::Mismatch;
use std::collections::BTreeMap;
use tiris_domain::lane::{EventStream, LaneKey};
use tiris_domain::states::{DeadLetterClass, LaneStatus, State};
use tiris_store::dead_letters::{ClassCount, OldestWaiting};
use tiris_store::drift;
use tiris_store::ledger::Cause;

/// Starts the counters that alerts watch at zero, because rules see no increase in a counter's first value. Each stream has
/// `lanes` lanes, and one for subjects without a user.
pub(crate) fn begin(lanes: u16) {
    drift::begin();
    for stream in EventStream::ALL.map(EventStream::name) {
        metrics::gauge!("ingest_lanes_configured", "stream" => stream)
            .set(f64::from(u32::from(lanes) + 1));
        metrics::counter!("ingest_batch_failures_total", "stream" => stream).increment(0);
        metrics::counter!("ingest_lanes_lost_total", "stream" => stream).increment(0);
        metrics::counter!("ingest_detours_total", "stream" => stream).increment(0);
        metrics::counter!("ingest_detour_messages_total", "stream" => stream).increment(0);
        metrics::counter!("ingest_left_out_total", "stream" => stream).increment(0);
        metrics::counter!("ingest_unreadable_messages_total", "stream" => stream).increment(0);

        for kind in Mismatch::KINDS {
            metrics::counter!("ingest_cursor_mismatches_total", "stream" => stream, "kind" => kind)
                .increment(0);
        }
        for lane in 0..=lanes {
            metrics::counter!("ingest_gap_messages_total", "stream" => stream, "lane" => lane.to_string())
                .increment(0);
        }

        let class = DeadLetterClass::Rejected.as_str();
        metrics::counter!("ingest_dead_letters_total", "stream" => stream, "class" => class, "code" => Cause::INTERNAL)
            .increment(0);
    }
}

/// Sets the lag of a lane at `now` (nanoseconds since 1970).
pub(crate) fn gauge_lag(key: LaneKey, lag: Lag, now: i64) {
    let stream = key.stream.name();
    let lane = key.lane.to_string();
    if let Some(messages) = lag.messages {
        metrics::gauge!("ingest_lag_messages", "stream" => stream, "lane" => lane.clone())
            .set(float(messages));
    }
    if let Some(age) = lag.age(now) {
        metrics::gauge!("ingest_lag_seconds", "stream" => stream, "lane" => lane)
            .set(age.as_secs_f64());
    }
}

/// Sets the number of lanes by status, and of halted lanes by kind of mismatch.
pub(crate) fn gauge_states(lines: &BTreeMap<LaneKey, Line>) {
    for stream in EventStream::ALL {
        for status in LaneStatus::ALL {
            let lanes = lines
                .iter()
                .filter(|(key, line)| key.stream == stream && line.condition.status() == *status);
            metrics::gauge!("ingest_lanes", "stream" => stream.name(), "status" => status.as_str())
                .set(float(lanes.count()));
        }
    }
    for kind in Mismatch::KINDS {
        let halted = lines
            .values()
            .filter(|line| matches!(line.condition, Condition::Halted(why) if why.kind() == kind));
        metrics::gauge!("ingest_lanes_halted", "kind" => kind).set(float(halted.count()));
    }
}

/// Sets the number of open dead letters of this worker's lanes.
pub(crate) fn gauge_dead_letters(counts: &[ClassCount]) {
    for stream in EventStream::ALL {
        for class in DeadLetterClass::ALL {
            let found = counts
                .iter()
                .find(|count| count.stream == stream && count.class == *class);
            metrics::gauge!("ingest_dead_letters_open", "stream" => stream.name(), "class" => class.as_str())
                .set(found.map_or(0.0, |found| float(found.count)));
            metrics::gauge!("ingest_dead_letters_recent", "stream" => stream.name(), "class" => class.as_str())
                .set(found.map_or(0.0, |found| float(found.recent)));
        }
    }
}

/// Sets the age of the oldest waiting event of this worker's lanes; zero when none waits.
pub(crate) fn gauge_waiting(oldest: &[OldestWaiting]) {
    for stream in EventStream::ALL {
        let found = oldest.iter().find(|oldest| oldest.stream == stream);
        metrics::gauge!("ingest_dead_letters_waiting_seconds", "stream" => stream.name())
            .set(found.map_or(0.0, |found| found.seconds));
    }
}

/// Converts a count to the float of a gauge; four billion is the maximum.
pub(crate) fn float(value: impl TryInto<u32>) -> f64 {
    f64::from(value.try_into().unwrap_or(u32::MAX))
}
