//! Whether a cursor and a stream belong together. JetStream says nothing when they do not.
//!
//! Owns: the pure judgement. Must not know: how the figures are fetched.

/// What the stream says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamState {
    /// When it was made, nanoseconds since 1970: the only identity a stream has.
    pub created_at: i64,
    /// Sequence of its oldest message.
    pub first_seq: u64,
    /// Sequence of its newest message.
    pub last_seq: u64,
}

/// What the lane remembers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position<'a> {
    /// The stream it belongs to.
    pub stream_created_at: i64,
    /// Everything up to here is done.
    pub cursor: u64,
    /// Of the message at the cursor.
    pub fingerprint: Option<&'a [u8]>,
}

/// Why a lane must not go on reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// The stream was deleted and made anew.
    #[error("the stream was made anew: the cursor belongs to an earlier one")]
    StreamMadeAnew,
    /// The stream ends before the cursor.
    #[error("the stream lost its tail: it ends at {last_seq}, before the cursor {cursor}")]
    TailLost {
        /// End of the stream.
        last_seq: u64,
        /// The lane's cursor.
        cursor: u64,
    },
    /// Another message stands at the cursor.
    #[error("the stream lost its tail: another message stands at the cursor {cursor}")]
    OtherMessage {
        /// The lane's cursor.
        cursor: u64,
    },
    /// Messages after the cursor are gone.
    #[error("retention overtook the lane: messages {from} to {to} are gone")]
    Gap {
        /// First sequence that is missing.
        from: u64,
        /// Last sequence that is missing.
        to: u64,
    },
}

/// Judges before the first pull and after every reconnect. `at_cursor` is the fingerprint of the message the stream
/// has at the cursor, none when it has no message there.
pub fn judge(stream: &StreamState, lane: &Position<'_>, at_cursor: Option<&[u8]>) -> Result<(), Mismatch> {
    let cursor = lane.cursor;
    if lane.stream_created_at != stream.created_at {
        return Err(Mismatch::StreamMadeAnew);
    }
    if stream.last_seq < cursor {
        return Err(Mismatch::TailLost { last_seq: stream.last_seq, cursor });
    }
    if cursor >= stream.first_seq
        && let (Some(stored), Some(found)) = (lane.fingerprint, at_cursor)
        && stored != found
    {
        return Err(Mismatch::OtherMessage { cursor });
    }
    if stream.first_seq > cursor + 1 {
        return Err(Mismatch::Gap { from: cursor + 1, to: stream.first_seq - 1 });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: StreamState = StreamState { created_at: 7, first_seq: 10, last_seq: 20 };

    fn at(cursor: u64) -> Position<'static> {
        Position { stream_created_at: 7, cursor, fingerprint: Some(b"mine") }
    }

    #[test]
    fn a_cursor_within_the_stream_whose_message_is_known_may_go_on() {
        assert_eq!(judge(&STREAM, &at(15), Some(b"mine")), Ok(()));
        assert_eq!(judge(&STREAM, &at(20), Some(b"mine")), Ok(()));
        assert_eq!(judge(&STREAM, &at(9), None), Ok(()));
        assert_eq!(judge(&StreamState { created_at: 7, first_seq: 1, last_seq: 0 }, &at(0), None), Ok(()));
    }

    #[test]
    fn each_mismatch_is_told_by_its_name() {
        let other = Position { stream_created_at: 8, ..at(15) };
        assert_eq!(judge(&STREAM, &other, Some(b"mine")), Err(Mismatch::StreamMadeAnew));
        assert_eq!(judge(&STREAM, &at(21), None), Err(Mismatch::TailLost { last_seq: 20, cursor: 21 }));
        assert_eq!(judge(&STREAM, &at(15), Some(b"else")), Err(Mismatch::OtherMessage { cursor: 15 }));
        assert_eq!(judge(&STREAM, &at(8), None), Err(Mismatch::Gap { from: 9, to: 9 }));
        assert_eq!(judge(&STREAM, &at(0), None), Err(Mismatch::Gap { from: 1, to: 9 }));
    }
}
