//! The streams of events and their lanes: the names that tables, subjects and metrics share.

use crate::event::Kind;
use std::fmt;
use std::str::FromStr;
use uuid::Uuid;

/// A stream of events. Two, because a flood of heartbeats must never delay money.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventStream {
    /// Orders and balances.
    Trading,
    /// Errors, signals and heartbeats.
    System,
}

impl EventStream {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Trading, Self::System];

    /// The stream that takes events of a kind.
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

    /// Its name in JetStream, columns and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Trading => "TRADING",
            Self::System => "TRADING_SYSTEM",
        }
    }

    /// The stream with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stream| stream.name() == name)
    }
}

impl fmt::Display for EventStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A text that is the name of no stream.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be TRADING or TRADING_SYSTEM (given: {0:?})")]
pub struct UnknownStream(String);

impl TryFrom<String> for EventStream {
    type Error = UnknownStream;

    fn try_from(name: String) -> Result<Self, UnknownStream> {
        Self::named(&name).ok_or(UnknownStream(name))
    }
}

impl serde::Serialize for EventStream {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> serde::Deserialize<'de> for EventStream {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Self::try_from(name).map_err(serde::de::Error::custom)
    }
}

/// A lane: the part of a stream that is processed in order. All events of a user go through one lane of each stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
pub struct LaneKey {
    /// The stream.
    pub stream: EventStream,
    /// Number of the lane; the last one is that of subjects without a user.
    pub lane: u16,
}

impl fmt::Display for LaneKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.stream, self.lane)
    }
}

/// A text that names no lane.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a lane is written like TRADING/3 or TRADING_SYSTEM/0 (given: {0:?})")]
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

/// The lane of a user among `lanes` of a stream, as the broker's partition function puts it: FNV-1a of 32 bits over the
/// user token of the subject. None when there are no lanes.
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
    fn a_lane_is_parsed_from_what_it_is_printed_as() {
        let key = LaneKey {
            stream: EventStream::System,
            lane: 3,
        };

        assert_eq!(key.to_string(), "TRADING_SYSTEM/3");
        assert_eq!(key.to_string().parse(), Ok(key));
    }

    #[test]
    fn a_text_that_names_no_lane_is_refused() {
        for text in ["TRADING", "TRADING/", "TRADING/-1", "OTHER/1"] {
            assert!(text.parse::<LaneKey>().is_err(), "{text}");
        }
    }
}
