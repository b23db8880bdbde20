//! What an admin reads, as the audit trail records it.

use poem::Request;
use serde_json::{Map, Value};
use tiris_store::audit::{Action, ActionName};
use uuid::Uuid;

/// Parameters of a request that are recorded.
const PARAMETERS_MAX: usize = 20;
/// Longest recorded name or value of a parameter, in characters.
const TEXT_CHARS_MAX: usize = 128;
/// Parameters whose values are not recorded: a search text may be a name or an address, which the audit trail would keep
/// after its user is deleted, and a cursor says nothing.
const UNRECORDED: [&str; 2] = ["query", "cursor"];

/// The path and the parameters of a request.
pub(super) struct Reading {
    path: String,
    parameters: Vec<(String, String)>,
}

impl Reading {
    pub(super) fn of(request: &Request) -> Self {
        Self {
            path: request.original_uri().path().to_owned(),
            parameters: request.params().unwrap_or_default(),
        }
    }

    /// Returns the entry of the audit trail.
    pub(super) fn action(&self) -> Action<'static> {
        let segments: Vec<&str> = self.path.split('/').collect();
        let resource = match segments.as_slice() {
            [_, _, "users", ..] => "user",
            [_, _, "audit", ..] => "audit",
            [_, _, "events", "dead-letters", ..] => "dead_letter",
            [_, _, "events", "replay", ..] => "replay",
            _ => "other",
        };
        let last = segments.last().copied().unwrap_or_default();
        let id = Uuid::try_parse(last).ok();

        Action {
            name: ActionName::AdminRead,
            resource,
            id: id.map(|id| id.to_string()),
            before: None,
            after: Some(self.described()),
        }
    }

    fn described(&self) -> Value {
        let parameters = self.parameters.iter().take(PARAMETERS_MAX);
        let described = parameters.map(|(name, value)| {
            let value = if UNRECORDED.contains(&name.as_str()) {
                "given".to_owned()
            } else {
                storable(value)
            };
            (storable(name), Value::String(value))
        });

        let mut after = Map::new();
        after.insert("path".to_owned(), storable(&self.path).into());
        after.insert("parameters".to_owned(), Value::Object(described.collect()));
        Value::Object(after)
    }
}

/// Returns a text shortened and without control characters, some of which the database cannot store.
fn storable(text: &str) -> String {
    let printable = text.chars().filter(|char| !char.is_control());
    printable.take(TEXT_CHARS_MAX).collect()
}
