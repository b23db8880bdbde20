//! JetStream: declares the event streams, reads them, and compares them with the positions of lanes.

mod declare;
mod direct_get;
mod identity;
mod limits;
mod message;
mod reader;
pub mod subjects;
mod usage;

pub use declare::{DeclareError, config_of, declare};
pub use direct_get::{DirectMessage, first_from, message_at, next_from};
pub use identity::{Mismatch, Remedy, StreamState};
pub use limits::{Difference, Limit, differences};
pub use message::{Headers, Message};
pub use reader::{BatchLimits, Range, Reader};
pub use usage::{Fullest, Usage, usage};

pub(crate) use declare::apply;
pub(crate) use usage::float;

use crate::connection::Connection;
use tiris_domain::lane::EventStream;
use tiris_store::error::{Error, Result};
use tiris_store::lanes::LaneState;

/// Reads the state of a stream.
pub async fn state_of(connection: &Connection, stream: EventStream) -> Result<StreamState> {
    let handle = connection.jetstream.get_stream(stream.name()).await;
    let handle = handle.map_err(unavailable)?;
    let info = handle.cached_info();

    Ok(StreamState {
        created_at: message::nanoseconds(info.created),
        first_seq: info.state.first_sequence,
        last_seq: info.state.last_sequence,
        lanes: subjects::lanes_of(stream, &info.config),
    })
}

/// Reads the state of a stream, and the mismatch with the stored state of a lane, if any. `lanes` is the number of lanes
/// that this worker reads.
pub async fn compare(
    connection: &Connection,
    stream: EventStream,
    lanes: u16,
    lane: &LaneState,
) -> Result<(StreamState, Option<Mismatch>)> {
    let state = state_of(connection, stream).await?;
    let cursor = lane.cursor;
    let has_message = cursor > 0 && (state.first_seq..=state.last_seq).contains(&cursor);
    let at_cursor = if has_message {
        message_at(connection, stream, cursor).await?
    } else {
        None
    };

    let fingerprint = at_cursor.map(|message| message.fingerprint());
    let mismatch = identity::compare(&state, lanes, lane, fingerprint.as_deref()).err();
    Ok((state, mismatch))
}

/// Wraps a failure of JetStream, which is transient.
pub fn unavailable(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::Unavailable {
        what: "NATS JetStream",
        source: error.into(),
    }
}
