//! The reason why a value is rejected.

use serde::de::{Error, Unexpected};
use serde_json::Value as Json;
use std::fmt::Display;

/// Longest excerpt of a wrong value in an error, in characters.
const SHOWN_CHARS_MAX: usize = 60;
/// Marks invalid free JSON in an error of serde, as `Unexpected::Other(FREE_JSON)`.
pub const FREE_JSON: &str = "free JSON";

/// The reason why a value is rejected, worded to follow the name of its field: the limit, and the given value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Invalid {
    pub(super) is_free_json: bool,
    why: String,
}

impl Invalid {
    /// Creates the error of a value that breaks a limit.
    #[must_use]
    pub fn new(why: impl Into<String>) -> Self {
        Self {
            is_free_json: false,
            why: why.into(),
        }
    }

    /// Creates the error of free JSON that breaks its rules.
    #[must_use]
    pub fn free_json(why: impl Into<String>) -> Self {
        Self {
            is_free_json: true,
            why: why.into(),
        }
    }

    /// Creates the error of an unexpected value, with its first characters.
    #[must_use]
    pub fn given(expected: impl Display, given: &Json) -> Self {
        let shown: String = given.to_string().chars().take(SHOWN_CHARS_MAX).collect();

        Self::new(format!("{expected} (given: {shown})"))
    }

    /// Converts to an error of a deserializer: a custom message, or for free JSON the unexpected value [`FREE_JSON`], which
    /// an error type recognizes in its `invalid_value`.
    pub fn into_serde<E: Error>(self) -> E {
        if self.is_free_json {
            E::invalid_value(Unexpected::Other(FREE_JSON), &self.why.as_str())
        } else {
            E::custom(self)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_sixty_characters_of_the_given_value() {
        let given = Json::from("é".repeat(100));

        let invalid = Invalid::given("must be short", &given);

        let shown = "é".repeat(59);
        assert_eq!(
            invalid.to_string(),
            format!("must be short (given: \"{shown})")
        );
    }

    #[test]
    fn marks_free_json_in_an_error_of_serde() {
        let value: serde_json::Error = Invalid::new("must be a string (given: 5)").into_serde();
        let free: serde_json::Error = Invalid::free_json("must be an object").into_serde();

        assert_eq!(value.to_string(), "must be a string (given: 5)");
        assert_eq!(
            free.to_string(),
            "invalid value: free JSON, expected must be an object"
        );
    }
}
