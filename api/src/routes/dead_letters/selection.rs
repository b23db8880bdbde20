//! The bodies of requests about dead letters: which ones, and what to do with them.

use crate::routes::prelude::*;
use poem_openapi::types::ToJSON;
use serde_json::{Map, Value};
use tiris_domain::ids::{TradingId, UserId};
use tiris_domain::states::DeadLetterClass;
use tiris_domain::value::{Moment, Name, Text};
use tiris_store::dead_letters::Filter;

/// Longest reason, in characters.
const REASON_CHARS_MAX: usize = 500;

/// The reason letters are given up for.
pub(super) type Reason = Text<1, REASON_CHARS_MAX>;

/// How a letter is replayed. An unknown field is refused, because money moves.
#[derive(Object, Deserialize)]
#[oai(example, skip_serializing_if_is_none)]
#[serde(deny_unknown_fields)]
pub(super) struct ReplayOne {
    /// Only say what would happen to which balance
    pub(super) dry_run: Option<bool>,
    /// Round amounts that move to 12 decimal places, half to even
    pub(super) round: Option<bool>,
}

impl Example for ReplayOne {
    fn example() -> Self {
        Self {
            dry_run: Some(true),
            round: None,
        }
    }
}

/// Why letters are given up.
#[derive(Object, Deserialize)]
#[oai(example)]
#[serde(deny_unknown_fields)]
pub(super) struct DiscardOne {
    /// Kept with the letter
    pub(super) reason: Field<Reason>,
}

impl Example for DiscardOne {
    fn example() -> Self {
        Self {
            reason: Field(Reason::from_static("the bot was misconfigured")),
        }
    }
}

/// Which open letters are meant: those to which everything given applies. At least one condition is needed.
#[derive(Object, Default, Deserialize)]
#[oai(skip_serializing_if_is_none)]
// A condition that is ignored would select more than was meant.
#[serde(deny_unknown_fields)]
pub(super) struct Selection {
    /// What can still become of them
    class: Option<Field<DeadLetterClass>>,
    /// Stable code
    code: Option<Field<Name>>,
    /// Whose events they are
    user_id: Option<Field<UserId>>,
    /// The trading they are about
    trading_id: Option<Field<TradingId>>,
    /// `TRADING` or `TRADING_SYSTEM`
    stream: Option<Field<Name>>,
    /// Put aside at this moment or later
    from: Option<Field<Moment>>,
    /// Put aside before this moment
    until: Option<Field<Moment>>,
}

impl Selection {
    /// The filter of the store.
    pub(super) fn filter(&self) -> Result<Filter> {
        let text = |name: &Option<Field<Name>>| name.as_ref().map(|name| name.0.to_string());
        let time = |time: &Option<Field<Moment>>| time.as_ref().map(|time| time.0.time());
        let filter = Filter {
            status: None,
            class: self.class.map(|class| class.0),
            code: text(&self.code),
            user_id: self.user_id.map(|id| id.0.0),
            trading_id: self.trading_id.map(|id| id.0.0),
            stream: text(&self.stream),
            lane: None,
            from: time(&self.from),
            until: time(&self.until),
        };

        if filter == Filter::default() {
            return Err(Error::invalid(
                "filter",
                "must have at least one condition, such as {\"class\": \"rejected\"}",
            ));
        }
        Ok(filter)
    }

    /// For the audit trail.
    pub(super) fn as_json(&self) -> Value {
        self.to_json().unwrap_or_else(|| Value::Object(Map::new()))
    }
}

/// Letters to be replayed in stream order.
#[derive(Object, Deserialize)]
#[oai(example, skip_serializing_if_is_none)]
#[serde(deny_unknown_fields)]
pub(super) struct ReplayMany {
    pub(super) filter: Selection,
    /// `next_cursor` of the answer before, to go on behind it
    pub(super) cursor: Option<Uuid>,
    /// Only say what would happen to which balance
    pub(super) dry_run: Option<bool>,
    /// Round amounts that move to 12 decimal places, half to even
    pub(super) round: Option<bool>,
}

impl Example for ReplayMany {
    fn example() -> Self {
        let filter = Selection {
            class: Some(Field(DeadLetterClass::Rejected)),
            ..Selection::default()
        };
        Self {
            filter,
            cursor: None,
            dry_run: Some(true),
            round: None,
        }
    }
}

/// Letters to be given up.
#[derive(Object, Deserialize)]
#[oai(example)]
#[serde(deny_unknown_fields)]
pub(super) struct DiscardMany {
    pub(super) filter: Selection,
    /// Kept with each letter
    pub(super) reason: Field<Reason>,
}

impl Example for DiscardMany {
    fn example() -> Self {
        let filter = Selection {
            code: Some(Field(Name::from_static("NOT_JSON"))),
            ..Selection::default()
        };
        Self {
            filter,
            reason: Field(Reason::from_static("the bot was misconfigured")),
        }
    }
}
