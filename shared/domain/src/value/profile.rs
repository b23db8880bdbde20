//! The profile of a user.

use super::invalid::Invalid;
use super::newtype::text_newtype;
use super::text::Text;

/// Longest full name, in characters.
pub const FULL_NAME_CHARS_MAX: usize = 256;

/// The full name of a user; it may be empty.
pub type FullName = Text<0, FULL_NAME_CHARS_MAX>;

type UsernameText = Text<1, 128>;
type AvatarText = Text<0, 2048>;

/// A username without control characters and without whitespace at either end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Username(String);

impl TryFrom<String> for Username {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        let name = UsernameText::try_from(text)?.into_string();

        if name.trim() != name || name.chars().any(char::is_control) {
            return Err(Invalid::new(
                "must not begin or end with whitespace, nor contain control characters",
            ));
        }
        Ok(Self(name))
    }
}

text_newtype!(Username, UsernameText::schema());

/// The URL of a user's picture; empty for none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Avatar(String);

impl TryFrom<String> for Avatar {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        let url = AvatarText::try_from(text)?.into_string();

        // Pages use it as the source of an image, so it must not be a URL that executes a script.
        if !url.is_empty() && !is_web(&url) {
            return Err(Invalid::new(
                "must be a URL that begins with https:// or http://",
            ));
        }
        Ok(Self(url))
    }
}

text_newtype!(Avatar, AvatarText::schema());

fn is_web(url: &str) -> bool {
    let has_scheme = url.starts_with("https://") || url.starts_with("http://");

    has_scheme && !url.contains(char::is_whitespace)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Value;

    #[test]
    fn accepts_a_username_with_inner_blanks() {
        let name = Username::from_json("Ann Example".into()).expect("a username");

        assert_eq!(name.as_str(), "Ann Example");
    }

    #[test]
    fn rejects_a_username_with_outer_blanks_or_control_characters() {
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
    fn rejects_an_avatar_that_is_not_a_web_address() {
        for text in ["javascript:alert(1)", "https://a b", "ftp://example.com"] {
            assert!(Avatar::from_json(text.into()).is_err(), "{text:?}");
        }
    }
}
