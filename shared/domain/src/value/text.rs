//! Strings with limits on their length.

use super::invalid::Invalid;
use super::newtype::text_newtype;
use super::schema::Schema;
use serde_json::Value as Json;

/// Longest event id, in characters.
const EVENT_ID_LENGTH_MAX: usize = 128;

/// A text of `MIN` to `MAX` characters without U+0000, which the database cannot store.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text<const MIN: usize, const MAX: usize>(String);

/// A word of a bot or an exchange, 1 to 128 characters.
pub type Label = Text<1, 128>;
/// The name of a bot's component, 1 to 128 characters.
pub type Component = Text<1, 128>;
/// The reason of a posting, 1 to 50 characters.
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
        without_nul(text).map(Self)
    }
}

text_newtype!(
    Text<MIN, MAX>,
    Schema {
        min_length: (MIN > 0).then_some(MIN),
        max_length: Some(MAX),
        ..Schema::STRING
    },
    const MIN: usize, const MAX: usize
);

/// A text of at most `MAX` bytes of UTF-8 without U+0000; it may be empty.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Words<const MAX: usize>(String);

/// The message of a trading log, at most 4 KiB.
pub type Message = Words<{ 4 * 1024 }>;
/// The stack trace of a bot's error, at most 32 KiB.
pub type StackTrace = Words<{ 32 * 1024 }>;

impl<const MAX: usize> TryFrom<String> for Words<MAX> {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        let length = text.len();

        if length > MAX {
            return Err(Invalid::new(format!(
                "may have at most {MAX} bytes (given: {length})"
            )));
        }
        without_nul(text).map(Self)
    }
}

text_newtype!(
    Words<MAX>,
    Schema {
        // A text of MAX bytes has at most MAX characters.
        max_length: Some(MAX),
        description: Some("The limit counts bytes of UTF-8."),
        ..Schema::STRING
    },
    const MAX: usize
);

/// The id of an event: 1 to 128 printable ASCII characters, unique per user.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId(String);

impl TryFrom<String> for EventId {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        let is_printable = |byte: u8| byte.is_ascii_graphic() || byte == b' ';

        if (1..=EVENT_ID_LENGTH_MAX).contains(&text.len()) && text.bytes().all(is_printable) {
            Ok(Self(text))
        } else {
            Err(Invalid::given(
                format!("must be 1 to {EVENT_ID_LENGTH_MAX} printable ASCII characters"),
                &text.into(),
            ))
        }
    }
}

text_newtype!(
    EventId,
    Schema {
        pattern: Some("^[ -~]*$"),
        min_length: Some(1),
        max_length: Some(EVENT_ID_LENGTH_MAX),
        ..Schema::STRING
    }
);

fn without_nul(text: String) -> Result<String, Invalid> {
    if text.contains('\0') {
        return Err(Invalid::new("must not contain U+0000"));
    }
    Ok(text)
}

/// Returns the text of a JSON string.
pub(crate) fn string(value: Json) -> Result<String, Invalid> {
    match value {
        Json::String(text) => Ok(text),
        other => Err(Invalid::given("must be a string", &other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Value;

    #[test]
    fn accepts_a_length_at_its_limit() {
        for text in ["é".to_owned(), "é".repeat(128)] {
            let name = Label::from_json(text.as_str().into()).expect("within the limits");

            assert_eq!(name.as_str(), text);
        }
    }

    #[test]
    fn rejects_a_length_beyond_its_limit_with_both_limits() {
        for (text, length) in [(String::new(), 0), ("é".repeat(129), 129)] {
            let invalid = Label::from_json(text.into()).expect_err("beyond a limit");

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
    fn rejects_a_text_with_the_null_character() {
        let invalid = Label::from_json("a\0b".into()).expect_err("cannot be stored");

        assert_eq!(invalid.to_string(), "must not contain U+0000");
    }

    #[test]
    fn rejects_another_type_with_the_value() {
        let invalid = Label::from_json(5.into()).expect_err("no string");

        assert_eq!(invalid.to_string(), "must be a string (given: 5)");
    }

    #[test]
    fn serde_round_trips_a_text() {
        let name: Label = serde_json::from_str(r#""grid""#).expect("valid");
        let refused = serde_json::from_str::<Label>(r#""""#).expect_err("too short");

        assert_eq!(serde_json::to_string(&name).expect("JSON"), r#""grid""#);
        assert!(
            refused
                .to_string()
                .starts_with("must have 1 to 128 characters (given: 0)")
        );
    }

    #[test]
    fn words_may_be_empty_or_as_long_as_their_limit() {
        for words in [String::new(), "é".repeat(2048)] {
            assert!(Message::from_json(words.into()).is_ok());
        }
    }

    #[test]
    fn the_limit_of_words_counts_bytes() {
        let invalid = Message::from_json("é".repeat(2049).into()).expect_err("too long");

        assert_eq!(
            invalid.to_string(),
            "may have at most 4096 bytes (given: 4098)"
        );
    }

    #[test]
    fn accepts_an_event_id_at_its_limits() {
        for text in [" ".to_owned(), "~".repeat(128)] {
            assert!(EventId::from_json(text.into()).is_ok());
        }
    }

    #[test]
    fn rejects_an_event_id_beyond_its_limits() {
        for text in ["", "é", "a\nb", "\u{7f}", &"x".repeat(129)] {
            assert!(EventId::from_json(text.into()).is_err(), "{text}");
        }
    }
}
