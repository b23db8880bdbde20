//! The profile of a user.

use super::invalid::Invalid;
use super::newtype::text_newtype;
use super::text::Text;

type AvatarText = Text<0, 2048>;

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
