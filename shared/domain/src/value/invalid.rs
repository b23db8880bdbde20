//! Why a value is refused.

use serde::de::{Error, Unexpected};
use serde_json::Value as Json;
use std::fmt::Display;

/// Characters of a wrong value that are shown back.
const SHOWN_CHARS_MAX: usize = 60;
/// What serde calls free JSON that breaks its rules: `Unexpected::Other(FREE_JSON)`.
pub const FREE_JSON: &str = "free JSON";

/// Which error code a refused value gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum InvalidKind {
    /// The value has the wrong type or breaks its limit.
    Value,
    /// Free JSON breaks the rules on free JSON.
    FreeJson,
}

/// Why a value is refused, in the words that follow the name of its field: the limit, and what was given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Invalid {
    kind: InvalidKind,
    why: String,
}

impl Invalid {
    /// A value that breaks a limit.
    #[must_use]
    pub fn new(why: impl Into<String>) -> Self {
        Self {
            kind: InvalidKind::Value,
            why: why.into(),
        }
    }

    /// Free JSON that breaks its rules.
    #[must_use]
    pub fn free_json(why: impl Into<String>) -> Self {
        Self {
            kind: InvalidKind::FreeJson,
            why: why.into(),
        }
    }

    /// A value that is not what was expected, with its first characters.
    #[must_use]
    pub fn given(expected: impl Display, given: &Json) -> Self {
        let shown: String = given.to_string().chars().take(SHOWN_CHARS_MAX).collect();

        Self::new(format!("{expected} (given: {shown})"))
    }

    /// Which error code it gets.
    #[must_use]
    pub const fn kind(&self) -> InvalidKind {
        self.kind
    }

    /// The error of a deserializer: a custom message, or for free JSON the unexpected value [`FREE_JSON`].
    ///
    /// An error type of one's own recognises free JSON in its `invalid_value`; of an error of `serde_json`
    /// [`Self::from_message`] restores the kind.
    pub fn into_serde<E: Error>(self) -> E {
        match self.kind {
            InvalidKind::Value => E::custom(self),
            InvalidKind::FreeJson => {
                E::invalid_value(Unexpected::Other(FREE_JSON), &self.why.as_str())
            }
        }
    }

    /// Restores what [`Self::into_serde`] put into the message of an error of `serde_json`.
    #[must_use]
    pub fn from_message(message: &str) -> Self {
        let free = message
            .strip_prefix("invalid value: ")
            .and_then(|rest| rest.strip_prefix(FREE_JSON))
            .and_then(|rest| rest.strip_prefix(", expected "));

        free.map_or_else(|| Self::new(message), Self::free_json)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_given_value_is_cut_to_sixty_characters() {
        let given = Json::from("é".repeat(100));

        let invalid = Invalid::given("must be short", &given);

        let shown = "é".repeat(59);
        assert_eq!(
            invalid.to_string(),
            format!("must be short (given: \"{shown})")
        );
    }

    #[test]
    fn the_kind_survives_an_error_of_serde_json() {
        for invalid in [
            Invalid::new("must be a string (given: 5)"),
            Invalid::free_json("must be an object"),
        ] {
            let error: serde_json::Error = invalid.clone().into_serde();

            assert_eq!(Invalid::from_message(&error.to_string()), invalid);
        }
    }
}
