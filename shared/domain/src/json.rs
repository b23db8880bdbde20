//! The rules for JSON documents from clients, which keep free JSON from failing in the database.
//!
//! They are checked on the raw bytes, because a parsed value has lost its duplicate keys. Invalid JSON passes here and
//! fails in the parser that follows.

use crate::money::{NumberError, check_number};
use std::collections::HashSet;

/// Deepest nesting of objects and arrays.
pub const JSON_DEPTH_MAX: usize = 32;
/// The JSON library represents exact numbers by keys with this prefix; a client's key would become a number.
const RESERVED_KEY_PREFIX: &str = "$serde_json";

/// The rule that a document breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// An object has a key twice; parsers disagree about which value wins.
    #[error("duplicate key {0:?}")]
    DuplicateKey(String),
    /// A text contains U+0000, which the database cannot store.
    #[error("a text contains U+0000")]
    Nul,
    /// A number exceeds a limit.
    #[error("a number has an invalid size: {0}")]
    Number(NumberError),
    /// The nesting is deeper than [`JSON_DEPTH_MAX`].
    #[error("the nesting is deeper than {JSON_DEPTH_MAX} levels")]
    TooDeep,
    /// A key begins with a reserved prefix.
    #[error("a key begins with the reserved prefix {RESERVED_KEY_PREFIX:?}")]
    ReservedKey,
}

/// Checks a document in linear time and with linear memory.
pub fn check(document: &[u8]) -> Result<(), JsonError> {
    let mut scan = Scan {
        bytes: document,
        at: 0,
        open: Vec::new(),
    };

    while let Some(&byte) = scan.bytes.get(scan.at) {
        match byte {
            b'{' | b'[' => {
                if scan.open.len() == JSON_DEPTH_MAX {
                    return Err(JsonError::TooDeep);
                }
                scan.open.push((byte == b'{').then(HashSet::new));
                scan.at += 1;
            }
            b'}' | b']' => {
                scan.open.pop();
                scan.at += 1;
            }
            b'"' => scan.string()?,
            b'-' | b'0'..=b'9' => scan.number()?,
            _ => scan.at += 1,
        }
    }

    Ok(())
}

struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
    /// The keys of every open object, outermost first; `None` for an array.
    open: Vec<Option<HashSet<String>>>,
}

impl Scan<'_> {
    fn string(&mut self) -> Result<(), JsonError> {
        let start = self.at;
        self.at += 1;
        while let Some(&byte) = self.bytes.get(self.at) {
            match byte {
                b'"' => break,
                b'\\' if self.bytes[self.at + 1..].starts_with(b"u0000") => {
                    return Err(JsonError::Nul);
                }
                b'\\' => self.at += 2,
                0 => return Err(JsonError::Nul),
                _ => self.at += 1,
            }
        }
        self.at = (self.at + 1).min(self.bytes.len());

        let mut rest = self.bytes[self.at..].iter();
        match rest.find(|byte| !byte.is_ascii_whitespace()) {
            Some(b':') => self.key(start),
            Some(_) | None => Ok(()),
        }
    }

    /// Adds the string since `start` to the keys of the innermost object.
    fn key(&mut self, start: usize) -> Result<(), JsonError> {
        let Some(Some(keys)) = self.open.last_mut() else {
            return Ok(());
        };
        // Decoded, so that two spellings of a key are equal; an invalid string fails in the parser.
        let Ok(key) = serde_json::from_slice::<String>(&self.bytes[start..self.at]) else {
            return Ok(());
        };

        if key.starts_with(RESERVED_KEY_PREFIX) {
            return Err(JsonError::ReservedKey);
        }
        match keys.replace(key) {
            Some(key) => Err(JsonError::DuplicateKey(key)),
            None => Ok(()),
        }
    }

    fn number(&mut self) -> Result<(), JsonError> {
        let rest = &self.bytes[self.at..];
        let is_part = |byte: &u8| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
        let length = rest
            .iter()
            .position(|byte| !is_part(byte))
            .unwrap_or(rest.len());
        self.at += length;

        let text = std::str::from_utf8(&rest[..length]).unwrap_or_default();
        match check_number(text) {
            Err(error @ (NumberError::TooManyDigits | NumberError::ExponentTooLarge)) => {
                Err(JsonError::Number(error))
            }
            // Invalid JSON, which the parser reports with its position.
            Ok(()) | Err(NumberError::NotANumber) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn accepts_ordinary_documents() {
        for text in [
            r#"{"a":1,"b":{"a":[1,"a","a",{"a":null}]}}"#,
            r#"["\\u0000", "a:b", -1.5e-64]"#,
            "{}",
            "not json",
        ] {
            assert_eq!(check(text.as_bytes()), Ok(()), "{text}");
        }
    }

    #[track_caller]
    fn refuses(text: &str, expected: JsonError) {
        assert_eq!(check(text.as_bytes()), Err(expected), "{text}");
    }

    #[test]
    fn documents_are_at_most_32_levels_deep() {
        let deep = |levels| format!("{}{}", "[".repeat(levels), "]".repeat(levels));

        assert_eq!(check(deep(32).as_bytes()), Ok(()));
        refuses(&deep(33), JsonError::TooDeep);
    }

    #[test]
    fn keys_are_unique_and_not_reserved() {
        let duplicate = || JsonError::DuplicateKey("a".into());

        refuses(r#"{"a":1,"\u0061":2}"#, duplicate());
        refuses(r#"{"x":{"a":1,"a":2}}"#, duplicate());
        for key in [
            "$serde_json::private::Number",
            r"\u0024serde_json::private::Number",
        ] {
            refuses(&format!(r#"{{"{key}":"1"}}"#), JsonError::ReservedKey);
        }
    }

    #[test]
    fn texts_have_no_nul() {
        for text in [r#"{"a":"x\u0000"}"#, r#"{"\u0000":1}"#, "{\"a\":\"\0\"}"] {
            refuses(text, JsonError::Nul);
        }
    }

    #[test]
    fn numbers_are_within_their_limits() {
        let exponent = JsonError::Number(NumberError::ExponentTooLarge);
        let digits = JsonError::Number(NumberError::TooManyDigits);

        refuses(r#"{"a":1e131071}"#, exponent);
        refuses(&format!("[{}]", "9".repeat(1_001)), digits);
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _outcome = check(&bytes);
        }

        #[test]
        fn texts_similar_to_json_never_panic(text in r#"[\[\]{}":,\\u0eE+.\-1a ]{0,60}"#) {
            let _outcome = check(text.as_bytes());
        }
    }
}
