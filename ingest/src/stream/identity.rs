//! Decides whether the position of a lane belongs to a stream, because JetStream does not report when it does not.
//!
//! Pure: must not know how the figures are read.

use tiris_store::lanes::LaneState;

/// The identity and extent of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamState {
    /// Creation time in nanoseconds since 1970: the only identity a stream has.
    pub created_at: i64,
    /// Sequence of the oldest message.
    pub first_seq: u64,
    /// Sequence of the newest message.
    pub last_seq: u64,
    /// Number of lanes that the stream's subject transform assigns users to; None without such a transform.
    pub lanes: Option<u16>,
}

/// Why a lane must not read its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// The stream assigns users to other lanes than this worker reads.
    #[error("the stream has {found} lanes and this worker reads {wanted}")]
    LanesChanged {
        /// Lanes of the stream, 0 without such a transform.
        found: u16,
        /// Lanes of this worker.
        wanted: u16,
    },
    /// The stream was deleted and created again.
    #[error("the stream was recreated: the cursor belongs to its predecessor")]
    Recreated,
    /// The stream ends before the cursor.
    #[error(
        "the stream lost its newest messages: it ends at {last_seq}, before the cursor {cursor}"
    )]
    TailLost {
        /// Last sequence of the stream.
        last_seq: u64,
        /// Cursor of the lane.
        cursor: u64,
    },
    /// The message at the cursor is not the one that the lane processed.
    #[error(
        "the stream lost its newest messages: another message has the sequence of the cursor, {cursor}"
    )]
    OtherMessage {
        /// Cursor of the lane.
        cursor: u64,
    },
    /// Messages after the cursor are gone.
    #[error("retention overtook the lane: messages {from} to {to} are gone")]
    Gap {
        /// First missing sequence.
        from: u64,
        /// Last missing sequence.
        to: u64,
    },
}

/// The action that lets a halted lane continue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// Make the stream and the settings agree.
    Settings,
    /// Restart at the beginning of the stream; processed events are skipped by their ids.
    Reset,
    /// Skip the missing messages.
    AcceptGap,
}

impl Mismatch {
    /// The names of all kinds, for metrics.
    pub const KINDS: [&'static str; 5] = [
        "lanes_changed",
        "made_anew",
        "tail_lost",
        "other_message",
        "gap",
    ];

    /// Returns the name of the kind in metrics and records.
    #[must_use]
    pub const fn kind(self) -> &'static str {
        match self {
            Self::LanesChanged { .. } => "lanes_changed",
            Self::Recreated => "made_anew",
            Self::TailLost { .. } => "tail_lost",
            Self::OtherMessage { .. } => "other_message",
            Self::Gap { .. } => "gap",
        }
    }

    /// Returns what lets the lane continue.
    #[must_use]
    pub const fn remedy(self) -> Remedy {
        match self {
            Self::LanesChanged { .. } => Remedy::Settings,
            Self::Recreated | Self::TailLost { .. } | Self::OtherMessage { .. } => Remedy::Reset,
            Self::Gap { .. } => Remedy::AcceptGap,
        }
    }

    /// Returns the next steps for an operator.
    #[must_use]
    pub const fn advice(self) -> &'static str {
        match self.remedy() {
            Remedy::Settings => {
                "restore the stream's subject transform, or set TIRIS_LANES to its number of lanes and reset the lanes"
            }
            Remedy::Reset => {
                "find the cause, then run `tiris-ingest lanes reset` to restart at the beginning of the stream; processed events are skipped"
            }
            Remedy::AcceptGap => {
                "find the cause, then run `tiris-ingest lanes accept-gap` to skip the missing messages"
            }
        }
    }
}

/// Compares a stream with the stored state of a lane, before the first read and after every reconnect. `at_cursor` is the
/// fingerprint of the stream's message at the cursor; None when it has no message there.
pub(super) fn compare(
    stream: &StreamState,
    lanes: u16,
    lane: &LaneState,
    at_cursor: Option<&[u8]>,
) -> Result<(), Mismatch> {
    let cursor = lane.cursor;
    if stream.lanes != Some(lanes) {
        return Err(Mismatch::LanesChanged {
            found: stream.lanes.unwrap_or(0),
            wanted: lanes,
        });
    }

    if lane.stream_created_at != stream.created_at {
        return Err(Mismatch::Recreated);
    }
    if stream.last_seq < cursor {
        return Err(Mismatch::TailLost {
            last_seq: stream.last_seq,
            cursor,
        });
    }
    if cursor >= stream.first_seq
        && let (Some(stored), Some(found)) = (lane.fingerprint.as_deref(), at_cursor)
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

    const LANES: u16 = 4;
    const STREAM: StreamState = StreamState {
        created_at: 7,
        first_seq: 10,
        last_seq: 20,
        lanes: Some(LANES),
    };

    fn at(cursor: u64) -> LaneState {
        LaneState {
            epoch: 1,
            owner: None,
            cursor,
            fingerprint: Some(b"mine".to_vec()),
            stream_created_at: 7,
        }
    }

    #[test]
    fn a_cursor_within_the_stream_with_a_known_message_matches() {
        let empty = StreamState {
            first_seq: 1,
            last_seq: 0,
            ..STREAM
        };

        assert_eq!(compare(&STREAM, LANES, &at(15), Some(b"mine")), Ok(()));
        assert_eq!(compare(&STREAM, LANES, &at(20), Some(b"mine")), Ok(()));
        assert_eq!(compare(&STREAM, LANES, &at(9), None), Ok(()));
        assert_eq!(compare(&empty, LANES, &at(0), None), Ok(()));
    }

    #[test]
    fn reports_a_stream_with_other_lanes() {
        let fewer = StreamState {
            lanes: Some(2),
            created_at: 8,
            ..STREAM
        };
        let none = StreamState {
            lanes: None,
            ..STREAM
        };

        for (stream, found) in [(fewer, 2), (none, 0)] {
            let wanted = LANES;
            assert_eq!(
                compare(&stream, LANES, &at(15), Some(b"mine")),
                Err(Mismatch::LanesChanged { found, wanted })
            );
        }
    }

    #[test]
    fn reports_each_mismatch_of_position_and_stream() {
        let other_stream = LaneState {
            stream_created_at: 8,
            ..at(15)
        };
        let tail_lost = Mismatch::TailLost {
            last_seq: 20,
            cursor: 21,
        };

        for (lane, at_cursor, expected) in [
            (other_stream, Some(b"mine"), Mismatch::Recreated),
            (at(21), None, tail_lost),
            (at(15), Some(b"else"), Mismatch::OtherMessage { cursor: 15 }),
            (at(8), None, Mismatch::Gap { from: 9, to: 9 }),
            (at(0), None, Mismatch::Gap { from: 1, to: 9 }),
        ] {
            let at_cursor = at_cursor.map(<[u8; 4]>::as_slice);
            assert_eq!(compare(&STREAM, LANES, &lane, at_cursor), Err(expected));
        }
    }

    proptest! {
        /// The oldest messages of a stream expire and new ones are appended; both keep a position valid, unless messages
        /// after the cursor expire.
        #[test]
        fn growth_and_expiry_never_halt_a_lane_that_keeps_up(
            read in 0u64..50, written in 0u64..50, expired in 0u64..60,
        ) {
            let cursor = read;
            let last_seq = read + written;
            let first_seq = (expired + 1).min(last_seq + 1);
            let stream = StreamState { first_seq, last_seq, ..STREAM };
            let is_stored = (first_seq..=last_seq).contains(&cursor);
            let found: Option<&[u8]> = is_stored.then_some(b"mine");
            let expected = if first_seq > cursor + 1 {
                Err(Mismatch::Gap { from: cursor + 1, to: first_seq - 1 })
            } else {
                Ok(())
            };
            prop_assert_eq!(compare(&stream, LANES, &at(cursor), found), expected);
        }

        /// Whatever replaces a lost tail, a lane that had read into it halts, and one that had not continues.
        #[test]
        fn a_lost_tail_halts_exactly_the_lanes_that_had_read_into_it(
            kept in 0u64..30, lost in 1u64..30, rewritten in 0u64..40, cursor in 0u64..60,
        ) {
            prop_assume!(cursor <= kept + lost);
            let stream = StreamState { first_seq: 1, last_seq: kept + rewritten, ..STREAM };
            let fingerprint = (cursor > 0).then(|| b"mine".to_vec());
            let lane = LaneState { fingerprint, ..at(cursor) };
            let found: Option<&[u8]> = match cursor {
                0 => None,
                seq if seq <= kept => Some(b"mine"),
                seq if seq <= stream.last_seq => Some(b"else"),
                _ => None,
            };
            prop_assert_eq!(compare(&stream, LANES, &lane, found).is_err(), cursor > kept);
        }
    }
}
