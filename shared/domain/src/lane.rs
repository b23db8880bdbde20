//! The event streams and their lanes, as named in tables, subjects and metrics.

use crate::event::Kind;
use crate::states::{State, states};
use std::fmt;
use std::str::FromStr;
use uuid::Uuid;

states! {
    /// A stream of events. Money has a stream of its own, so that a flood of heartbeats never delays it.
    EventStream {
        /// Orders and balances.
        Trading = "TRADING",
        /// Errors, signals and heartbeats.
        System = "TRADING_SYSTEM",
    }
}

impl EventStream {
    /// Both streams.
    pub const ALL: [Self; 2] = [Self::Trading, Self::System];

    /// Returns the stream that carries events of a kind.
    #[must_use]
    pub const fn of_kind(kind: Kind) -> Self {
        match kind {
            Kind::OrderCreated
            | Kind::OrderFilled
            | Kind::OrderCancelled
            | Kind::OrderFailed
            | Kind::BalanceUpdated
            | Kind::BalanceLocked
            | Kind::BalanceUnlocked => Self::Trading,
            Kind::Error | Kind::Signal | Kind::Heartbeat => Self::System,
        }
    }

    /// Returns the name in JetStream, columns and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.as_str()
    }
}

/// A lane: a partition of a stream that is processed in order. All events of a user share one lane per stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
pub struct LaneKey {
    /// The stream of the lane.
    pub stream: EventStream,
    /// The lane's number; the last lane carries the subjects without a user.
    pub lane: u16,
}

impl fmt::Display for LaneKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.stream, self.lane)
    }
}

/// The error for a text that names no lane.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be <stream>/<number>, such as TRADING/3 or TRADING_SYSTEM/0 (given: {0:?})")]
pub struct InvalidLaneKey(String);

impl FromStr for LaneKey {
    type Err = InvalidLaneKey;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parsed = text.split_once('/').and_then(|(stream, lane)| {
            let stream = EventStream::named(stream)?;
            let lane = lane.parse().ok()?;
            Some(Self { stream, lane })
        });

        parsed.ok_or_else(|| InvalidLaneKey(text.to_owned()))
    }
}

/// Returns the lane of a user among `lanes` lanes; `None` when `lanes` is zero.
///
/// It equals the broker's partition function: 32-bit FNV-1a over the user token of the subject.
#[must_use]
pub fn lane_of(user: Uuid, lanes: u16) -> Option<u16> {
    const OFFSET: u32 = 0x811c_9dc5;
    const PRIME: u32 = 0x0100_0193;
    let token = user.hyphenated().to_string();
    let hash = token.bytes().fold(OFFSET, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(PRIME)
    });

    u16::try_from(hash.checked_rem(u32::from(lanes))?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_a_displayed_lane() {
        let key = LaneKey {
            stream: EventStream::System,
            lane: 3,
        };

        assert_eq!(key.to_string(), "TRADING_SYSTEM/3");
        assert_eq!(key.to_string().parse(), Ok(key));
    }

    #[test]
    fn rejects_a_text_that_names_no_lane() {
        for text in ["TRADING", "TRADING/", "TRADING/-1", "OTHER/1"] {
            assert!(text.parse::<LaneKey>().is_err(), "{text}");
        }
    }
}
