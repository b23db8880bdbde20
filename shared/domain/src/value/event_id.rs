//! The id a bot gives to an event.

use super::define::Value;
use super::invalid::Invalid;
use super::newtype::text_newtype;
use super::schema::{Schema, SchemaKind};
use super::text::string;
use serde_json::Value as Json;

/// Longest id of an event, in characters.
const LENGTH_MAX: usize = 128;

/// The id of an event: 1 to 128 printable ASCII characters, unique per user.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(transparent)]
pub struct EventId(String);

impl EventId {
    fn is_valid(text: &str) -> bool {
        let is_printable = |byte: u8| byte.is_ascii_graphic() || byte == b' ';

        (1..=LENGTH_MAX).contains(&text.len()) && text.bytes().all(is_printable)
    }
}

impl Value for EventId {
    fn schema() -> Schema {
        Schema {
            pattern: Some("^[ -~]*$"),
            min_length: Some(1),
            max_length: Some(LENGTH_MAX),
            ..Schema::new("string", SchemaKind::String)
        }
    }

    fn from_json(value: Json) -> Result<Self, Invalid> {
        let text = string(value)?;

        if Self::is_valid(&text) {
            Ok(Self(text))
        } else {
            Err(Invalid::given(
                format!("must be 1 to {LENGTH_MAX} printable ASCII characters"),
                &text.into(),
            ))
        }
    }

    fn to_json(&self) -> Json {
        Json::from(self.as_str())
    }
}

text_newtype!(EventId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_at_its_limits_is_accepted() {
        for text in [" ".to_owned(), "~".repeat(128)] {
            assert!(EventId::from_json(text.into()).is_ok());
        }
    }

    #[test]
    fn an_id_beyond_its_limits_is_refused() {
        for text in ["", "é", "a\nb", "\u{7f}", &"x".repeat(129)] {
            assert!(EventId::from_json(text.into()).is_err(), "{text}");
        }
    }
}
