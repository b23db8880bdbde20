//! A text with limits on its length in characters.

use super::define::Value;
use super::invalid::Invalid;
use super::newtype::text_newtype;
use super::schema::{Schema, SchemaKind};
use serde_json::Value as Json;
use std::str::FromStr;

/// A text of `MIN` to `MAX` characters without U+0000, which the database cannot store.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(transparent)]
pub struct Text<const MIN: usize, const MAX: usize>(String);

/// The name of something.
pub type Name = Text<1, 128>;
/// The name of a part of a bot.
pub type Component = Text<1, 128>;
/// The reason of a posting.
pub type Reason = Text<1, 50>;

impl<const MIN: usize, const MAX: usize> TryFrom<String> for Text<MIN, MAX> {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        let length = text.chars().count();

        if !(MIN..=MAX).contains(&length) {
            return Err(Invalid::new(format!(
                "must have {MIN} to {MAX} characters (given: {length})"
            )));
        }
        if text.contains('\0') {
            return Err(Invalid::new("must not contain U+0000"));
        }

        Ok(Self(text))
    }
}

impl<const MIN: usize, const MAX: usize> FromStr for Text<MIN, MAX> {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        text.to_owned().try_into()
    }
}

impl<const MIN: usize, const MAX: usize> Value for Text<MIN, MAX> {
    fn schema() -> Schema {
        Schema {
            min_length: (MIN > 0).then_some(MIN),
            max_length: Some(MAX),
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

text_newtype!(Text<MIN, MAX>, const MIN: usize, const MAX: usize);

/// The string a value must be.
pub(crate) fn string(value: Json) -> Result<String, Invalid> {
    match value {
        Json::String(text) => Ok(text),
        other => Err(Invalid::given("must be a string", &other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_at_its_limit_is_accepted() {
        for text in ["é".to_owned(), "é".repeat(128)] {
            let name = Name::from_json(text.as_str().into()).expect("within the limits");

            assert_eq!(name.as_str(), text);
        }
    }

    #[test]
    fn a_length_beyond_its_limit_is_refused_with_both_limits() {
        for (text, length) in [(String::new(), 0), ("é".repeat(129), 129)] {
            let invalid = Name::from_json(text.into()).expect_err("beyond a limit");

            assert_eq!(
                invalid.to_string(),
                format!("must have 1 to 128 characters (given: {length})")
            );
        }
    }

    #[test]
    fn a_text_without_a_lower_limit_may_be_empty() {
        assert!(Text::<0, 3>::from_json("".into()).is_ok());
        assert_eq!(Text::<0, 3>::schema().min_length, None);
    }

    #[test]
    fn a_text_with_the_null_character_is_refused() {
        let invalid = Name::from_json("a\0b".into()).expect_err("cannot be stored");

        assert_eq!(invalid.to_string(), "must not contain U+0000");
    }

    #[test]
    fn another_type_is_refused_with_the_value() {
        let invalid = Name::from_json(5.into()).expect_err("no string");

        assert_eq!(invalid.to_string(), "must be a string (given: 5)");
    }

    #[test]
    fn serde_reads_and_writes_the_same_text() {
        let name: Name = serde_json::from_str(r#""grid""#).expect("valid");
        let refused = serde_json::from_str::<Name>(r#""""#).expect_err("too short");

        assert_eq!(serde_json::to_string(&name).expect("JSON"), r#""grid""#);
        assert!(
            refused
                .to_string()
                .starts_with("must have 1 to 128 characters (given: 0)")
        );
    }
}
