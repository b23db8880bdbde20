//! Finds the sequences of a stream in a range of time, by binary search: the broker's times rise with the sequence.

use crate::connection::Connection;
use crate::stream::{StreamState, first_from, state_of};
use chrono::{DateTime, Utc};
use tiris_domain::event::Kind;
use tiris_domain::lane::EventStream;
use tiris_store::error::Result;
use tiris_store::replay_jobs::{Job, StreamProgress};

/// Returns whether a job selects events that a stream can hold.
pub(super) fn concerns(job: &Job, stream: EventStream) -> bool {
    Kind::ALL
        .into_iter()
        .any(|kind| job.selects(kind) && EventStream::of_kind(kind) == stream)
}

/// Returns the progress at the beginning of the range from `start` to before `end`, and a remark when earlier messages may be
/// missing.
pub(super) async fn find(
    connection: &Connection,
    stream: EventStream,
    start: DateTime<Utc>,
    end: DateTime<Utc>,
) -> Result<(StreamProgress, Option<String>)> {
    let state = state_of(connection, stream).await?;
    let first = first_at_or_after(connection, stream, &state, nanoseconds(start)).await?;
    let behind = first_at_or_after(connection, stream, &state, nanoseconds(end)).await?;
    let at = StreamProgress {
        created_at: state.created_at,
        first,
        next: first,
        last: behind.saturating_sub(1),
    };
    let is_cut = first == state.first_seq && state.first_seq > 1;
    let gone = is_cut
        .then(|| format!("stream {stream} begins at message {first}: earlier messages are gone"));

    Ok((at, gone))
}

/// Whether the rest of a range can still be read.
pub(super) enum Fit {
    Whole,
    /// The stream was recreated, with an explanation.
    Other(String),
    /// Messages before this sequence are gone, with an explanation.
    Gone(u64, String),
}

pub(super) async fn check(
    connection: &Connection,
    stream: EventStream,
    at: &StreamProgress,
) -> Result<Fit> {
    let state = state_of(connection, stream).await?;

    Ok(if state.created_at != at.created_at {
        Fit::Other(format!(
            "stream {stream} was recreated since the replay began"
        ))
    } else if state.first_seq > at.next {
        let from = at.next;
        let to = at.last.min(state.first_seq - 1);
        let why = format!(
            "retention deleted messages {from} to {to} of stream {stream} before they were read"
        );
        Fit::Gone(state.first_seq, why)
    } else {
        Fit::Whole
    })
}

/// Returns nanoseconds since 1970, or the nearest limit: no message is older or younger than that.
fn nanoseconds(time: DateTime<Utc>) -> i64 {
    let limit = i64::MAX.saturating_mul(time.timestamp().signum());
    time.timestamp_nanos_opt().unwrap_or(limit)
}

async fn first_at_or_after(
    connection: &Connection,
    stream: EventStream,
    state: &StreamState,
    time: i64,
) -> Result<u64> {
    let all = [">".to_owned()];
    let mut low = state.first_seq.max(1);
    let mut high = state.last_seq + 1;

    while low < high {
        let middle = low + (high - low) / 2;
        match first_from(connection, stream, middle, &all).await? {
            // There is no message between `middle` and the one found.
            Some(found) if found.broker_time < time => low = found.stream_seq + 1,
            Some(_) | None => high = middle,
        }
    }

    Ok(low)
}
