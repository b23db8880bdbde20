//! The ids in the payload of a message that is not a valid event.

use crate::value::{EventId, Value};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value as Json;
use std::fmt;
use uuid::Uuid;

/// The ids in a payload, as far as they are valid.
#[derive(Default)]
pub(super) struct Hints {
    pub(super) event_id: Option<EventId>,
    pub(super) trading_id: Option<Uuid>,
}

impl Hints {
    /// Reads any JSON object, also one that is too long or breaks the rules for free JSON. Of a repeated key the last value
    /// counts.
    pub(super) fn of(payload: &[u8]) -> Self {
        let text = std::str::from_utf8(payload).unwrap_or_default();

        serde_json::from_str(text).unwrap_or_default()
    }
}

impl<'de> Deserialize<'de> for Hints {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(HintsVisitor)
    }
}

struct HintsVisitor;

impl<'de> Visitor<'de> for HintsVisitor {
    type Value = Hints;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Hints, A::Error> {
        let mut hints = Hints::default();

        while let Some(name) = fields.next_key::<String>()? {
            match name.as_str() {
                "event_id" => hints.event_id = EventId::from_json(fields.next_value()?).ok(),
                "trading_id" => hints.trading_id = id(&fields.next_value()?),
                // Ignored values have no limit on their depth.
                _ => {
                    fields.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(hints)
    }
}

fn id(value: &Json) -> Option<Uuid> {
    Uuid::try_parse(value.as_str()?).ok()
}
