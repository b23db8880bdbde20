//! What a user says about themselves.

use super::define::Value;
use super::invalid::Invalid;
use super::newtype::deserialize_by_value;
use super::schema::Schema;
use super::text::Text;
use serde_json::Value as Json;

/// Longest full name, in characters.
pub const FULL_NAME_CHARS_MAX: usize = 256;

/// The full name of a user, may be empty.
pub type FullName = Text<0, FULL_NAME_CHARS_MAX>;

/// A username: no blanks at either end and no control characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Username(Text<1, 128>);

impl Username {
    /// A username that stands in the program, which is not checked.
    #[must_use]
    pub fn from_static(name: &'static str) -> Self {
        Self(Text::from_static(name))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl Value for Username {
    fn schema() -> Schema {
        Text::<1, 128>::schema()
    }

    fn from_json(value: Json) -> Result<Self, Invalid> {
        let name = Text::from_json(value)?;
        let text = name.as_str();

        if text.trim() != text || text.chars().any(char::is_control) {
            return Err(Invalid::new(
                "must neither begin nor end blank, nor hold control characters",
            ));
        }
        Ok(Self(name))
    }

    fn to_json(&self) -> Json {
        self.0.to_json()
    }
}

deserialize_by_value!(Username);

/// The URL of a picture; empty for none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Avatar(Text<0, 2048>);

impl Avatar {
    /// The URL.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl Value for Avatar {
    fn schema() -> Schema {
        Text::<0, 2048>::schema()
    }

    fn from_json(value: Json) -> Result<Self, Invalid> {
        let url = Text::from_json(value)?;

        // Pages show it as the source of a picture: nothing may hide there that runs.
        if !url.as_str().is_empty() && !is_web(url.as_str()) {
            return Err(Invalid::new(
                "must be a URL that begins with https:// or http://",
            ));
        }
        Ok(Self(url))
    }

    fn to_json(&self) -> Json {
        self.0.to_json()
    }
}

deserialize_by_value!(Avatar);

fn is_web(url: &str) -> bool {
    let has_scheme = ["https://", "http://"]
        .iter()
        .any(|scheme| url.starts_with(scheme));

    has_scheme && !url.contains(char::is_whitespace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_username_with_inner_blanks_is_accepted() {
        let name = Username::from_json("Ann Example".into()).expect("a username");

        assert_eq!(name.as_str(), "Ann Example");
    }

    #[test]
    fn a_username_with_outer_blanks_or_control_characters_is_refused() {
        for text in ["", " ann", "ann ", "a\nb"] {
            assert!(Username::from_json(text.into()).is_err(), "{text:?}");
        }
    }

    #[test]
    fn an_avatar_is_a_web_address_or_empty() {
        for text in ["", "https://example.com/a.png", "http://example.com"] {
            assert!(Avatar::from_json(text.into()).is_ok(), "{text:?}");
        }
    }

    #[test]
    fn an_avatar_that_could_run_is_refused() {
        for text in ["javascript:alert(1)", "https://a b", "ftp://example.com"] {
            assert!(Avatar::from_json(text.into()).is_err(), "{text:?}");
        }
    }
}
