//! Reads keys from text, and says what is wrong with a text without repeating it.

use crate::config::entries;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// Bytes of every key.
pub(super) const KEY_BYTES: usize = 32;
/// Longest id of a key, in characters.
pub(super) const ID_LENGTH_MAX: usize = 32;

/// The bytes of a key, forgotten when they are dropped.
pub(super) type KeyBytes = Zeroizing<[u8; KEY_BYTES]>;

/// A key and what it is called.
pub(super) struct NamedKey {
    pub(super) id: String,
    pub(super) bytes: KeyBytes,
}

/// Whether this can be the id of a key.
pub(super) fn is_id(id: &str) -> bool {
    (1..=ID_LENGTH_MAX).contains(&id.len())
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

/// Reads `id:base64,id:base64,...`; the first one is the current one.
pub(super) fn parse_keys(text: &str) -> Result<Vec<NamedKey>, String> {
    let mut keys: Vec<NamedKey> = Vec::new();
    for (entry, number) in entries(text).zip(1..) {
        let (id, key) = entry
            .split_once(':')
            .ok_or_else(|| format!("entry {number} must look like id:base64"))?;
        if !is_id(id) {
            return Err(format!(
                "the id of entry {number} must have 1 to {ID_LENGTH_MAX} letters, digits, '-', '_' or '.'"
            ));
        }
        if keys.iter().any(|known| known.id == id) {
            return Err(format!("the id {id:?} is there twice"));
        }

        let bytes = parse_key(key).map_err(|why| format!("the key {id:?} {why}"))?;
        if keys.iter().any(|known| *known.bytes == *bytes) {
            return Err(format!("the key {id:?} is there before, under another id"));
        }

        let id = id.to_owned();
        keys.push(NamedKey { id, bytes });
    }

    if keys.is_empty() {
        return Err("names no key".to_owned());
    }
    Ok(keys)
}

/// Reads one key in base64.
pub(super) fn parse_key(text: &str) -> Result<KeyBytes, String> {
    let wrong =
        || format!("must be the base64 of {KEY_BYTES} bytes (openssl rand -base64 {KEY_BYTES})");
    let decoded = Zeroizing::new(STANDARD.decode(text.trim()).map_err(|_| wrong())?);
    let mut bytes = KeyBytes::default();
    if decoded.len() != KEY_BYTES {
        return Err(format!("{} (it has {})", wrong(), decoded.len()));
    }
    if decoded.iter().all(|byte| *byte == decoded[0]) {
        return Err("must be random: all its bytes are the same".to_owned());
    }
    bytes.copy_from_slice(&decoded);
    Ok(bytes)
}

/// A new key in base64.
pub(super) fn generate() -> Zeroizing<String> {
    let bytes: KeyBytes = Zeroizing::new(rand::random());
    Zeroizing::new(STANDARD.encode(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_key_is_named_by_its_place_and_never_repeated() {
        let good = generate();
        let short = STANDARD.encode([1, 2, 3]);
        let zeros = STANDARD.encode([0; KEY_BYTES]);
        let other = generate();

        for (text, expected) in [
            (String::new(), "names no key"),
            (" , ".to_owned(), "names no key"),
            (good.to_string(), "entry 1 must look like id:base64"),
            (format!("a:{},{}", *good, *other), "entry 2 must look like"),
            (format!(":{}", *good), "the id of entry 1"),
            (format!("a b:{}", *good), "the id of entry 1"),
            (format!("{}:{}", "x".repeat(33), *good), "the id of entry 1"),
            (
                format!("a:{},a:{}", *good, *other),
                "the id \"a\" is there twice",
            ),
            (
                format!("a:{},b:{}", *good, *good),
                "the key \"b\" is there before",
            ),
            (
                format!("a:{short}"),
                "the key \"a\" must be the base64 of 32 bytes",
            ),
            (format!("a:{zeros}"), "the key \"a\" must be random"),
            (format!("a:!{}", *good), "the key \"a\" must be the base64"),
        ] {
            let error = parse_keys(&text)
                .err()
                .unwrap_or_else(|| panic!("{expected}"));
            assert!(error.contains(expected), "{error}");
            for secret in [
                good.as_str(),
                other.as_str(),
                short.as_str(),
                zeros.as_str(),
            ] {
                assert!(!error.contains(secret), "{error}");
            }
        }
    }

    #[test]
    fn the_keys_keep_their_order() {
        let keys =
            parse_keys(&format!("new:{}, old-1:{}", *generate(), *generate())).expect("keys");
        assert_eq!(
            keys.iter().map(|key| key.id.as_str()).collect::<Vec<_>>(),
            ["new", "old-1"]
        );
    }
}
