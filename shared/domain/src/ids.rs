//! Typed identifiers, one type per kind of row, and the increasing UUIDv7 sequence of a batch.

use crate::value::{Invalid, Schema, SchemaKind, Value};
use chrono::{DateTime, Utc};
use serde_json::Value as Json;
use uuid::Uuid;

impl Value for Uuid {
    fn schema() -> Schema {
        Schema {
            format: Some("uuid"),
            ..Schema::new("string_uuid", SchemaKind::String)
        }
    }

    fn from_json(value: Json) -> Result<Self, Invalid> {
        let id = value.as_str().and_then(|text| Self::try_parse(text).ok());

        id.ok_or_else(|| Invalid::given("must be a UUID", &value))
    }

    fn to_json(&self) -> Json {
        Json::from(self.to_string())
    }
}

/// Parses an id as this service writes it: lower case, with hyphens. Events may spell an id in any way; a request may not,
/// so that everything that compares texts, such as an idempotency key's scope, sees one spelling of an id.
pub fn canonical(value: &Json) -> Result<Uuid, Invalid> {
    let text = value.as_str().unwrap_or_default();
    let Ok(id) = Uuid::try_parse(text) else {
        return Err(Invalid::given("must be a UUID", value));
    };

    if id.to_string() == text {
        Ok(id)
    } else {
        let why = format!("must be written in lower case with hyphens, as {id}");
        Err(Invalid::given(&why, value))
    }
}

macro_rules! typed_id {
    ($(#[$doc:meta] $name:ident),+ $(,)?) => {$(
        #[$doc]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }

        impl std::str::FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(text).map(Self)
            }
        }

        impl Value for $name {
            fn schema() -> Schema {
                Uuid::schema()
            }

            fn from_json(value: Json) -> Result<Self, Invalid> {
                Uuid::from_json(value).map(Self)
            }

            fn to_json(&self) -> Json {
                self.0.to_json()
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let value = <Json as serde::Deserialize>::deserialize(deserializer)?;

                canonical(&value).map(Self).map_err(Invalid::into_serde)
            }
        }
    )+};
}

typed_id! {
    /// The id of a user, a row of `users`.
    UserId,
    /// The id of a trading, a row of `tradings`: the sub-accounts that one bot works on.
    TradingId,
    /// The id of a sub-account, a row of `sub_accounts`: one asset of one trading.
    AccountId,
    /// The id of a posting, a row of `transactions`.
    TransactionId,
    /// The id of a trading log, a row of `trading_logs`.
    LogId,
    /// The id of an exchange binding, a row of `exchange_bindings`.
    BindingId,
    /// The id of a dead letter, a row of `dead_letters`.
    DeadLetterId,
}

/// Returns a new UUIDv7 from the process's clock, for a row whose order does not matter.
#[must_use]
pub fn new_id() -> Uuid {
    Uuid::now_v7()
}

/// Strictly increasing UUIDv7s with one timestamp: the ids of a batch, in posting order.
///
/// The 48 time bits hold the milliseconds and the 12 bits after the version the microseconds, so that later batches
/// sort after earlier ones; the other 62 bits start at a random number and count up.
#[derive(Debug)]
pub struct IdSequence {
    time_bits: u128,
    tail: u64,
}

const TAIL_BITS: u32 = 62;
/// Below [`TAIL_BITS`], so that counting up from a random start never overflows the tail.
const TAIL_START_BITS: u32 = 61;

impl IdSequence {
    /// Creates the sequence of a batch; a random `seed` keeps the ids of batches with equal timestamps apart.
    #[must_use]
    pub fn new(timestamp: DateTime<Utc>, seed: u64) -> Self {
        let micros = u128::try_from(timestamp.timestamp_micros()).unwrap_or(0);
        let millis = micros / 1_000;
        // Scaling 1,000 microseconds to 4,096 steps preserves the order and fits 12 bits.
        let sub_milli = micros % 1_000 * 4_096 / 1_000;

        let time_bits = (millis << 80) | (0x7 << 76) | (sub_milli << 64) | (0b10 << TAIL_BITS);
        Self {
            time_bits,
            tail: seed >> (64 - TAIL_START_BITS),
        }
    }

    /// Returns the next id, which is greater than all before it.
    pub fn next_id(&mut self) -> Uuid {
        self.tail += 1;
        Uuid::from_u128(self.time_bits | u128::from(self.tail))
    }
}

/// Returns the timestamp of a UUIDv7, to the millisecond; `None` for other UUID versions.
#[must_use]
pub fn time_of(id: Uuid) -> Option<DateTime<Utc>> {
    let (seconds, nanos) = id.get_timestamp()?.to_unix();
    DateTime::from_timestamp(i64::try_from(seconds).ok()?, nanos)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_request_spells_an_id_in_one_way() {
        let id = Uuid::from_u128(0x0192_8f2e_7c3a_7b6f_9d10_3f5d_2a1b_4c5e);
        let text = id.to_string();

        let parsed: UserId = serde_json::from_value(Json::from(text.as_str())).expect("canonical");
        assert_eq!(parsed.0, id);

        for other in [
            text.to_uppercase(),
            text.replace('-', ""),
            format!("{{{text}}}"),
            format!("urn:uuid:{text}"),
        ] {
            let read: Result<UserId, _> = serde_json::from_value(Json::from(other.as_str()));
            let error = read.expect_err(&other).to_string();
            assert!(error.contains(&text), "{error}");

            let event = UserId::from_json(Json::from(other.as_str()));
            assert_eq!(event.expect("events may use any spelling").0, id);
        }
    }

    proptest! {
        #[test]
        fn ids_increase_within_a_batch_and_between_batches(
            micros in 0i64..4_000_000_000_000_000,
            step in 1i64..5_000,
            seeds: (u64, u64),
        ) {
            let at = |us| DateTime::from_timestamp_micros(us).expect("in range");
            let mut first = IdSequence::new(at(micros), seeds.0);
            let mut second = IdSequence::new(at(micros + step), seeds.1);

            let a = first.next_id();
            let b = first.next_id();
            let c = second.next_id();

            prop_assert!(a < b);
            prop_assert!(b < c);
            prop_assert_eq!(a.get_version_num(), 7);
            prop_assert_eq!(a.get_variant(), uuid::Variant::RFC4122);
            prop_assert_eq!(time_of(a).expect("v7").timestamp_millis(), micros / 1_000);
        }
    }
}
