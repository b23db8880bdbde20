//! Which letters are meant, and what is to be done with them.

use super::letter::LetterClass;
use crate::fields::{Fields, FromFields, required};
use chrono::{DateTime, Utc};
use poem_openapi::Object;
use poem_openapi::types::{Example, ToJSON};
use serde_json::{Map, Value};
use tiris_domain::states::DeadLetterClass;
use tiris_store::dead_letters::Filter;
use tiris_store::error::{Error, Result};
use uuid::Uuid;

/// Longest reason, in characters.
const REASON_CHARS_MAX: usize = 500;
/// Longest code and name of a stream, in characters.
const NAME_CHARS_MAX: usize = 128;
const CLASSES: [(&str, LetterClass); 3] = [
    ("malformed", LetterClass::Malformed),
    ("unresolved", LetterClass::Unresolved),
    ("rejected", LetterClass::Rejected),
];

/// How a letter is replayed. An unknown field is refused, because money moves.
#[derive(Object, Default)]
#[oai(example, skip_serializing_if_is_none)]
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

impl FromFields for ReplayOne {
    fn from_fields(fields: &mut Fields) -> Result<Self> {
        Ok(Self {
            dry_run: fields.flag("dry_run")?,
            round: fields.flag("round")?,
        })
    }

    fn refuses_unknown(&self) -> bool {
        true
    }
}

/// Why letters are given up.
#[derive(Object)]
#[oai(example)]
pub(super) struct DiscardOne {
    /// Kept with the letter
    #[oai(validator(min_length = 1, max_length = 500))]
    pub(super) reason: String,
}

impl Example for DiscardOne {
    fn example() -> Self {
        Self {
            reason: "the bot was misconfigured".to_owned(),
        }
    }
}

impl FromFields for DiscardOne {
    fn from_fields(fields: &mut Fields) -> Result<Self> {
        Ok(Self {
            reason: reason(fields)?,
        })
    }

    fn refuses_unknown(&self) -> bool {
        true
    }
}

fn reason(fields: &mut Fields) -> Result<String> {
    let reason = required("reason", fields.text("reason", 1, REASON_CHARS_MAX)?)?;
    if reason.contains('\0') {
        Err(Error::invalid("reason", "must not contain U+0000"))
    } else {
        Ok(reason)
    }
}

/// Which open letters are meant: those to which everything given applies. At least one condition is needed.
#[derive(Object, Default)]
#[oai(skip_serializing_if_is_none)]
pub(super) struct Selection {
    /// What can still become of them
    class: Option<LetterClass>,
    /// Stable code
    #[oai(validator(max_length = 128))]
    code: Option<String>,
    /// Whose events they are
    user_id: Option<Uuid>,
    /// The trading they are about
    trading_id: Option<Uuid>,
    /// `TRADING` or `TRADING_SYSTEM`
    #[oai(validator(max_length = 128))]
    stream: Option<String>,
    /// Put aside at this moment or later
    from: Option<DateTime<Utc>>,
    /// Put aside before this moment
    until: Option<DateTime<Utc>>,
}

impl FromFields for Selection {
    fn from_fields(fields: &mut Fields) -> Result<Self> {
        Ok(Self {
            class: fields.one_of("filter.class", &CLASSES)?,
            code: fields.text("filter.code", 1, NAME_CHARS_MAX)?,
            user_id: fields.uuid("filter.user_id")?,
            trading_id: fields.uuid("filter.trading_id")?,
            stream: fields.text("filter.stream", 1, NAME_CHARS_MAX)?,
            from: fields.time("filter.from")?,
            until: fields.time("filter.until")?,
        })
    }

    /// A condition that is ignored would select more than was meant.
    fn refuses_unknown(&self) -> bool {
        true
    }
}

impl Selection {
    fn read(fields: &mut Fields) -> Result<Self> {
        match required("filter", fields.take("filter"))? {
            Value::Object(object) => Fields::read(object),
            _ => Err(Error::invalid("filter", "must be an object")),
        }
    }

    /// What the store is asked.
    pub(super) fn filter(&self) -> Result<Filter> {
        let text = |name, text: &Option<String>| match text {
            Some(text) if text.contains('\0') => {
                Err(Error::invalid(name, "must not contain U+0000"))
            }
            text => Ok(text.clone()),
        };
        let class = self.class.map(|class| match class {
            LetterClass::Malformed => DeadLetterClass::Malformed,
            LetterClass::Unresolved => DeadLetterClass::Unresolved,
            LetterClass::Rejected => DeadLetterClass::Rejected,
        });
        let filter = Filter {
            status: None,
            class,
            code: text("filter.code", &self.code)?,
            user_id: self.user_id,
            trading_id: self.trading_id,
            stream: text("filter.stream", &self.stream)?,
            lane: None,
            from: self.from,
            until: self.until,
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
#[derive(Object)]
#[oai(example, skip_serializing_if_is_none)]
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
            class: Some(LetterClass::Rejected),
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

impl FromFields for ReplayMany {
    fn from_fields(fields: &mut Fields) -> Result<Self> {
        Ok(Self {
            filter: Selection::read(fields)?,
            cursor: fields.uuid("cursor")?,
            dry_run: fields.flag("dry_run")?,
            round: fields.flag("round")?,
        })
    }

    fn refuses_unknown(&self) -> bool {
        true
    }
}

/// Letters to be given up.
#[derive(Object)]
#[oai(example)]
pub(super) struct DiscardMany {
    pub(super) filter: Selection,
    /// Kept with each letter
    #[oai(validator(min_length = 1, max_length = 500))]
    pub(super) reason: String,
}

impl Example for DiscardMany {
    fn example() -> Self {
        let filter = Selection {
            code: Some("NOT_JSON".to_owned()),
            ..Selection::default()
        };
        Self {
            filter,
            reason: "the bot was misconfigured".to_owned(),
        }
    }
}

impl FromFields for DiscardMany {
    fn from_fields(fields: &mut Fields) -> Result<Self> {
        Ok(Self {
            filter: Selection::read(fields)?,
            reason: reason(fields)?,
        })
    }

    fn refuses_unknown(&self) -> bool {
        true
    }
}
