//! Which sequences of a stream lie in a range of time.
//!
//! Owns: the search. The broker's times rise with the sequence, so halving finds the place in a few requests. Must not
//! know: jobs, what a message says.

use crate::connection::Connection;
use crate::identity::StreamState;
use crate::stream::EventStream;
use crate::{reader, single};
use chrono::{DateTime, Utc};
use tiris_shared::error::Result;
use tiris_shared::store::replay_jobs::StreamProgress;

/// The range from `start` to before `end`, not begun.
pub(super) async fn find(
    connection: &Connection,
    stream: EventStream,
    start: DateTime<Utc>,
    end: DateTime<Utc>,
) -> Result<StreamProgress> {
    let (state, _) = reader::look_at(connection, stream, 0).await?;
    let first = first_at_or_after(connection, stream, &state, nanoseconds(start)).await?;
    let behind = first_at_or_after(connection, stream, &state, nanoseconds(end)).await?;
    Ok(StreamProgress { created_at: state.created_at, first, next: first, last: behind.saturating_sub(1) })
}

/// Why the range is not to be had any more; none when it is.
pub(super) async fn misfit(
    connection: &Connection,
    stream: EventStream,
    at: &StreamProgress,
) -> Result<Option<String>> {
    let (state, _) = reader::look_at(connection, stream, 0).await?;
    let why = if state.created_at != at.created_at {
        Some(format!("stream {stream} was made anew since the replay began"))
    } else if state.first_seq > at.next {
        let (from, to) = (at.next, state.first_seq - 1);
        Some(format!("retention took messages {from} to {to} of stream {stream} before they were read"))
    } else {
        None
    };
    Ok(why)
}

/// Beyond the reach of nanoseconds there are no messages either.
fn nanoseconds(time: DateTime<Utc>) -> i64 {
    let end = if time.timestamp() < 0 { i64::MIN } else { i64::MAX };
    time.timestamp_nanos_opt().unwrap_or(end)
}

async fn first_at_or_after(
    connection: &Connection,
    stream: EventStream,
    state: &StreamState,
    time: i64,
) -> Result<u64> {
    let all = [">".to_owned()];
    let (mut low, mut high) = (state.first_seq.max(1), state.last_seq + 1);
    while low < high {
        let middle = low + (high - low) / 2;
        match single::first_from(connection, stream, middle, &all).await? {
            // Sequences from `middle` up to the one found have no message, so they are alike.
            Some(found) if found.broker_time < time => low = found.stream_seq + 1,
            Some(_) | None => high = middle,
        }
    }
    Ok(low)
}
