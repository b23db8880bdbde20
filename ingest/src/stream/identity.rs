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
    /// Lanes its transform puts users into; none when it has no such transform.
    pub lanes: Option<u16>,
}

/// What the lane remembers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position<'a> {
    /// Lanes this worker runs.
    pub lanes: u16,
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
    /// The stream's transform puts users into other lanes than this worker reads.
    #[error("the stream has {found} lanes and this worker reads {wanted}")]
    LanesChanged {
        /// Lanes of the stream, 0 when it has no such transform.
        found: u16,
        /// Lanes of this worker.
        wanted: u16,
    },
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

/// What lets a halted lane go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// Stream and settings must be made to agree.
    Settings,
    /// The lane begins anew at the start of the stream; event ids pass over what is done.
    Reset,
    /// The missing messages are given up.
    AcceptGap,
}

impl Mismatch {
    /// Every kind, for metrics.
    pub const KINDS: [&'static str; 5] = [
        "lanes_changed",
        "made_anew",
        "tail_lost",
        "other_message",
        "gap",
    ];

    /// Stable name of the kind, in metrics and records.
    #[must_use]
    pub const fn kind(self) -> &'static str {
        match self {
            Self::LanesChanged { .. } => "lanes_changed",
            Self::StreamMadeAnew => "made_anew",
            Self::TailLost { .. } => "tail_lost",
            Self::OtherMessage { .. } => "other_message",
            Self::Gap { .. } => "gap",
        }
    }

    /// What lets the lane go on.
    #[must_use]
    pub const fn remedy(self) -> Remedy {
        match self {
            Self::LanesChanged { .. } => Remedy::Settings,
            Self::StreamMadeAnew | Self::TailLost { .. } | Self::OtherMessage { .. } => {
                Remedy::Reset
            }
            Self::Gap { .. } => Remedy::AcceptGap,
        }
    }

    /// What an operator can do, in words.
    #[must_use]
    pub const fn advice(self) -> &'static str {
        match self.remedy() {
            Remedy::Settings => {
                "give the stream its transform back, or set TIRIS_LANES to what it has and reset the lanes"
            }
            Remedy::Reset => {
                "look why, then `tiris-ingest lanes reset` lets it begin anew; what is done stays done once"
            }
            Remedy::AcceptGap => {
                "look why, then `tiris-ingest lanes accept-gap` gives the missing messages up"
            }
        }
    }
}

/// Judges before the first pull and after every reconnect. `at_cursor` is the fingerprint of the message the stream
/// has at the cursor, none when it has no message there.
pub fn judge(
    stream: &StreamState,
    lane: &Position<'_>,
    at_cursor: Option<&[u8]>,
) -> Result<(), Mismatch> {
    let cursor = lane.cursor;
    if stream.lanes != Some(lane.lanes) {
        return Err(Mismatch::LanesChanged {
            found: stream.lanes.unwrap_or(0),
            wanted: lane.lanes,
        });
    }

    if lane.stream_created_at != stream.created_at {
        return Err(Mismatch::StreamMadeAnew);
    }
    if stream.last_seq < cursor {
        return Err(Mismatch::TailLost {
            last_seq: stream.last_seq,
            cursor,
        });
    }
    if cursor >= stream.first_seq
        && let (Some(stored), Some(found)) = (lane.fingerprint, at_cursor)
        && stored != found
    {
        return Err(Mismatch::OtherMessage { cursor });
    }
    if stream.first_seq > cursor + 1 {
        return Err(Mismatch::Gap {
            from: cursor + 1,
            to: stream.first_seq - 1,
        });
    }

    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const STREAM: StreamState = StreamState {
        created_at: 7,
        first_seq: 10,
        last_seq: 20,
        lanes: Some(4),
    };

    fn at(cursor: u64) -> Position<'static> {
        Position {
            lanes: 4,
            stream_created_at: 7,
            cursor,
            fingerprint: Some(b"mine"),
        }
    }

    #[test]
    fn a_cursor_within_the_stream_whose_message_is_known_may_go_on() {
        assert_eq!(judge(&STREAM, &at(15), Some(b"mine")), Ok(()));
        assert_eq!(judge(&STREAM, &at(20), Some(b"mine")), Ok(()));
        assert_eq!(judge(&STREAM, &at(9), None), Ok(()));
        assert_eq!(
            judge(
                &StreamState {
                    first_seq: 1,
                    last_seq: 0,
                    ..STREAM
                },
                &at(0),
                None
            ),
            Ok(())
        );
    }

    #[test]
    fn each_mismatch_has_its_name() {
        let fewer = StreamState {
            lanes: Some(2),
            created_at: 8,
            ..STREAM
        };
        assert_eq!(
            judge(&fewer, &at(15), None),
            Err(Mismatch::LanesChanged {
                found: 2,
                wanted: 4
            })
        );
        let none = StreamState {
            lanes: None,
            ..STREAM
        };
        assert_eq!(
            judge(&none, &at(15), Some(b"mine")),
            Err(Mismatch::LanesChanged {
                found: 0,
                wanted: 4
            })
        );
        let other = Position {
            stream_created_at: 8,
            ..at(15)
        };
        assert_eq!(
            judge(&STREAM, &other, Some(b"mine")),
            Err(Mismatch::StreamMadeAnew)
        );
        assert_eq!(
            judge(&STREAM, &at(21), None),
            Err(Mismatch::TailLost {
                last_seq: 20,
                cursor: 21
            })
        );
        assert_eq!(
            judge(&STREAM, &at(15), Some(b"else")),
            Err(Mismatch::OtherMessage { cursor: 15 })
        );
        assert_eq!(
            judge(&STREAM, &at(8), None),
            Err(Mismatch::Gap { from: 9, to: 9 })
        );

        assert_eq!(
            judge(&STREAM, &at(0), None),
            Err(Mismatch::Gap { from: 1, to: 9 })
        );
    }

    proptest! {
        /// A stream is a row of messages of which the oldest are gone; a cursor that was moved along it and a stream that
        /// only grew and expired always agree, unless what the cursor has not seen expired.
        #[test]
        fn growing_and_expiring_never_halts_a_lane_that_keeps_up(
            read in 0u64..50, written in 0u64..50, expired in 0u64..60,
        ) {
            let cursor = read;
            let last_seq = read + written;
            let first_seq = (expired + 1).min(last_seq + 1);
            let stream = StreamState { created_at: 7, first_seq, last_seq, lanes: Some(4) };
            let there = (first_seq..=last_seq).contains(&cursor);
            let position = Position { lanes: 4, stream_created_at: 7, cursor, fingerprint: Some(b"mine") };
            let found: Option<&[u8]> = there.then_some(b"mine");
            let expected = if first_seq > cursor + 1 {
                Err(Mismatch::Gap { from: cursor + 1, to: first_seq - 1 })
            } else {
                Ok(())
            };
            prop_assert_eq!(judge(&stream, &position, found), expected);
        }

        /// After a loss of the tail, whatever was written in its place, a lane that had read into it halts, and one that
        /// had not goes on.
        #[test]
        fn a_lost_tail_halts_exactly_the_lanes_that_had_read_into_it(
            kept in 0u64..30, lost in 1u64..30, rewritten in 0u64..40, cursor in 0u64..60,
        ) {
            prop_assume!(cursor <= kept + lost);
            let stream = StreamState { created_at: 7, first_seq: 1, last_seq: kept + rewritten, lanes: Some(4) };
            let position = Position { lanes: 4, stream_created_at: 7, cursor, fingerprint: (cursor > 0).then_some(b"mine") };
            let found: Option<&[u8]> = match cursor {
                0 => None,
                seq if seq <= kept => Some(b"mine"),
                seq if seq <= stream.last_seq => Some(b"else"),
                _ => None,
            };
            prop_assert_eq!(judge(&stream, &position, found).is_err(), cursor > kept);
        }
    }
}
