//! The bodies of requests that replay or discard dead letters.

use crate::routes::prelude::*;
use poem_openapi::types::ToJSON;
use serde_json::{Map, Value};
use tiris_domain::ids::DeadLetterId;
use tiris_domain::states::DeadLetterClass;
use tiris_store::dead_letters::Filter;

/// Longest reason, in characters.
const REASON_CHARS_MAX: usize = 500;

/// The reason for discarding.
pub(super) type Reason = Text<1, REASON_CHARS_MAX>;

/// Options of a replay. Unknown fields are rejected, because money moves.
#[derive(Object, Deserialize)]
#[oai(example, skip_serializing_if_is_none)]
#[serde(deny_unknown_fields)]
pub(super) struct ReplayOne {
    /// Show the effect without storing anything; by default false
    pub(super) dry_run: Option<bool>,
    /// The user whose books a dead letter of the code `SUBJECT_MISMATCH` may change, although another user published it: the
    /// `user_id` of its payload. For admins only
    pub(super) accept_user: Option<Field<UserId>>,
}

impl Example for ReplayOne {
    fn example() -> Self {
        Self {
            dry_run: Some(true),
            accept_user: None,
        }
    }
}

/// The reason for discarding a dead letter.
#[derive(Object, Deserialize)]
#[oai(example)]
#[serde(deny_unknown_fields)]
pub(super) struct DiscardOne {
    /// Reason, 1 to 500 characters, stored with the dead letter
    pub(super) reason: Field<Reason>,
}

impl Example for DiscardOne {
    fn example() -> Self {
        Self {
            reason: Field(Reason::from_static("the bot was misconfigured")),
        }
    }
}

/// A filter of open dead letters: all given conditions must match, and at least one is required.
#[derive(Object, Default, Deserialize)]
#[oai(skip_serializing_if_is_none)]
// Ignoring an unknown condition would select more than intended.
#[serde(deny_unknown_fields)]
pub(super) struct Selection {
    /// Class: `malformed`, `unresolved` or `rejected`
    class: Option<Field<DeadLetterClass>>,
    /// Stable code of the failure, such as `INSUFFICIENT_BALANCE`
    code: Option<Field<Name>>,
    /// Id of the user who published the events
    user_id: Option<Field<UserId>>,
    /// Id of the trading the events belong to
    trading_id: Option<Field<TradingId>>,
    /// Stream of the events: `TRADING` or `TRADING_SYSTEM`
    stream: Option<Field<Name>>,
    /// Created at or after this moment, RFC 3339
    from: Option<Field<Moment>>,
    /// Created before this moment, RFC 3339
    until: Option<Field<Moment>>,
}

impl Selection {
    /// Returns the filter for the store.
    pub(super) fn filter(&self) -> Result<Filter> {
        let text = |name: &Option<Field<Name>>| name.as_ref().map(|name| name.0.to_string());
        let time = |time: &Option<Field<Moment>>| time.as_ref().map(|time| time.0.time());
        let filter = Filter {
            owner: None,
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

    /// Returns the filter as the audit trail records it.
    pub(super) fn as_json(&self) -> Value {
        self.to_json().unwrap_or_else(|| Value::Object(Map::new()))
    }
}

/// Dead letters to replay in stream order.
#[derive(Object, Deserialize)]
#[oai(example, skip_serializing_if_is_none)]
#[serde(deny_unknown_fields)]
pub(super) struct ReplayMany {
    /// The dead letters to replay
    pub(super) filter: Selection,
    /// `next_cursor` of the previous response, to continue after it
    pub(super) cursor: Option<Field<DeadLetterId>>,
    /// Show the effect without storing anything; by default false
    pub(super) dry_run: Option<bool>,
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
        }
    }
}

/// Dead letters to discard.
#[derive(Object, Deserialize)]
#[oai(example)]
#[serde(deny_unknown_fields)]
pub(super) struct DiscardMany {
    /// The dead letters to discard
    pub(super) filter: Selection,
    /// Reason, 1 to 500 characters, stored with each dead letter
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
