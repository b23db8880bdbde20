//! Words for people, with a limit on their length in bytes.

use super::define::Value;
use super::invalid::Invalid;
use super::newtype::text_newtype;
use super::schema::{Schema, SchemaKind};
use super::text::string;
use serde_json::Value as Json;

/// A text of at most `MAX` bytes of UTF-8, possibly empty, without U+0000.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(transparent)]
pub struct Words<const MAX: usize>(String);

/// What a log says.
pub type Message = Words<{ 4 * 1024 }>;
/// Where an error of a bot came from.
pub type StackTrace = Words<{ 32 * 1024 }>;

impl<const MAX: usize> TryFrom<String> for Words<MAX> {
    type Error = Invalid;

    fn try_from(words: String) -> Result<Self, Invalid> {
        if words.len() > MAX {
            return Err(Invalid::new(format!(
                "may have at most {MAX} bytes (given: {})",
                words.len()
            )));
        }
        if words.contains('\0') {
            return Err(Invalid::new("must not contain U+0000"));
        }

        Ok(Self(words))
    }
}

impl<const MAX: usize> Value for Words<MAX> {
    fn schema() -> Schema {
        Schema {
            // No text of MAX bytes has more characters.
            max_length: Some(MAX),
            description: Some("The limit counts bytes of UTF-8."),
            ..Schema::new("string", SchemaKind::String)
        }
    }

    fn from_json(value: Json) -> Result<Self, Invalid> {
        string(value)?.try_into()
    }

    fn to_json(&self) -> Json {
        Json::from(self.as_str())
    }
}

text_newtype!(Words<MAX>, const MAX: usize);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_may_be_empty_and_as_long_as_their_limit() {
        for words in [String::new(), "é".repeat(2048)] {
            assert!(Message::from_json(words.into()).is_ok());
        }
    }

    #[test]
    fn the_limit_counts_bytes() {
        let invalid = Message::from_json("é".repeat(2049).into()).expect_err("too long");

        assert_eq!(
            invalid.to_string(),
            "may have at most 4096 bytes (given: 4098)"
        );
    }
}
