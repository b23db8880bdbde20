//! Asks a stream for its identity.

use super::direct_get::message_at;
use super::identity::StreamState;
use super::message::nanoseconds;
use super::subjects;
use super::unavailable::unavailable;
use crate::connection::Connection;
use tiris_domain::lane::EventStream;
use tiris_store::error::Result;

/// What the stream says of itself.
pub async fn state_of(connection: &Connection, stream: EventStream) -> Result<StreamState> {
    let handle = connection.jetstream.get_stream(stream.name()).await;
    let handle = handle.map_err(unavailable)?;
    let info = handle.cached_info();

    Ok(StreamState {
        created_at: nanoseconds(info.created),
        first_seq: info.state.first_sequence,
        last_seq: info.state.last_sequence,
        lanes: subjects::lanes_of(stream, &info.config),
    })
}

/// The fingerprint of the message at `cursor`; none when the stream, which is in `state`, has no message there.
pub async fn fingerprint_at(
    connection: &Connection,
    stream: EventStream,
    state: &StreamState,
    cursor: u64,
) -> Result<Option<Vec<u8>>> {
    let is_expected = cursor > 0 && (state.first_seq..=state.last_seq).contains(&cursor);
    if !is_expected {
        return Ok(None);
    }

    let message = message_at(connection, stream, cursor).await?;
    Ok(message.map(|message| message.fingerprint()))
}
