//! Parses and generates keys.

use crate::config::entries;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::XChaCha20Poly1305;
use chacha20poly1305::aead::KeyInit;
use zeroize::Zeroizing;

/// Size of every key, in bytes.
const KEY_BYTES: usize = 32;
/// Longest id of a key, in characters.
const ID_LENGTH_MAX: usize = 32;

/// The bytes of a key, wiped on drop.
pub(super) type KeyBytes = Zeroizing<[u8; KEY_BYTES]>;

/// All configured keys; the current one encrypts.
#[derive(Debug)]
pub struct KeyRing {
    pub(super) current: Key,
    older: Vec<Key>,
}

#[derive(Debug)]
pub(super) struct Key {
    pub(super) id: String,
    pub(super) cipher: XChaCha20Poly1305,
}

impl KeyRing {
    /// Parses `id:base64,id:base64,...`; the first key is the current one. Errors never repeat a key.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut keys: Vec<Key> = Vec::new();
        let mut seen: Vec<KeyBytes> = Vec::new();
        for (entry, number) in entries(text).zip(1..) {
            let (id, key) = entry
                .split_once(':')
                .ok_or_else(|| format!("entry {number} must look like id:base64"))?;
            if !is_id(id) {
                let why =
                    format!("must have 1 to {ID_LENGTH_MAX} letters, digits, '-', '_' or '.'");
                return Err(format!("the id of entry {number} {why}"));
            }
            if keys.iter().any(|known| known.id == id) {
                return Err(format!("the id {id:?} appears twice"));
            }

            let bytes = parse_key(key).map_err(|why| format!("the key {id:?} {why}"))?;
            if seen.contains(&bytes) {
                return Err(format!("the key {id:?} appears before under another id"));
            }

            let id = id.to_owned();
            let cipher = XChaCha20Poly1305::new(&(*bytes).into());
            keys.push(Key { id, cipher });
            seen.push(bytes);
        }

        let mut keys = keys.into_iter();
        Ok(Self {
            current: keys.next().ok_or("must contain a key")?,
            older: keys.collect(),
        })
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &Key> {
        std::iter::once(&self.current).chain(&self.older)
    }

    /// Returns the id of the current key.
    #[must_use]
    pub fn current_id(&self) -> &str {
        &self.current.id
    }
}

/// Reports whether a text is a valid key id.
pub(super) fn is_id(id: &str) -> bool {
    let is_safe = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (1..=ID_LENGTH_MAX).contains(&id.len()) && id.bytes().all(is_safe)
}

/// Parses one key in base64.
pub(super) fn parse_key(text: &str) -> Result<KeyBytes, String> {
    let wrong =
        || format!("must be the base64 of {KEY_BYTES} bytes (openssl rand -base64 {KEY_BYTES})");
    let decoded = Zeroizing::new(STANDARD.decode(text.trim()).map_err(|_| wrong())?);
    let bytes: &[u8; KEY_BYTES] = decoded
        .as_slice()
        .try_into()
        .map_err(|_| format!("{} (it has {})", wrong(), decoded.len()))?;

    if bytes.iter().all(|byte| *byte == bytes[0]) {
        return Err("must be random: all its bytes are the same".to_owned());
    }
    Ok(Zeroizing::new(*bytes))
}

/// Generates a key in base64.
pub(super) fn generate() -> Zeroizing<String> {
    let bytes: KeyBytes = Zeroizing::new(rand::random());
    Zeroizing::new(STANDARD.encode(*bytes))
}
