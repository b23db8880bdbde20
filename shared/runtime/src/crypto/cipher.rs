//! Encrypts with the current key, decrypts with any we have.

use super::error::CryptoError;
use super::keys::{NamedKey, is_id};
use super::place::Place;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

/// Bytes of a nonce: so many that random ones never meet.
const NONCE_BYTES: usize = 24;

/// All keys we have; the first one encrypts.
pub struct KeyRing {
    current: Key,
    older: Vec<Key>,
}

struct Key {
    id: String,
    cipher: XChaCha20Poly1305,
}

impl std::fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list()
            .entries(self.keys().map(|key| &key.id))
            .finish()
    }
}

impl KeyRing {
    /// The ring of these keys; none when there are none.
    pub(super) fn new(keys: &[NamedKey]) -> Option<Self> {
        let mut keys = keys.iter().map(|named| Key {
            id: named.id.clone(),
            cipher: XChaCha20Poly1305::new(&(*named.bytes).into()),
        });
        Some(Self {
            current: keys.next()?,
            older: keys.collect(),
        })
    }

    fn keys(&self) -> impl Iterator<Item = &Key> {
        std::iter::once(&self.current).chain(&self.older)
    }

    /// Id of the key that encrypts.
    #[must_use]
    pub fn current_id(&self) -> &str {
        &self.current.id
    }

    /// What every ciphertext under the current key begins with, and no other does.
    #[must_use]
    pub fn current_prefix(&self) -> Vec<u8> {
        prefix(&self.current.id)
    }

    /// Encrypts a secret for the one place it may be read from.
    pub fn encrypt(&self, place: &Place, secret: &SecretString) -> Result<Vec<u8>, CryptoError> {
        let nonce: [u8; NONCE_BYTES] = rand::random();
        let associated = place.associated_data(&self.current.id);
        let payload = Payload {
            msg: secret.expose_secret().as_bytes(),
            aad: &associated,
        };
        let sealed = self.current.cipher.encrypt(&XNonce::from(nonce), payload);
        let sealed = sealed.map_err(|_| CryptoError::NotEncrypted)?;
        Ok([prefix(&self.current.id).as_slice(), &nonce, &sealed].concat())
    }

    /// Reads what was encrypted for this place.
    pub fn decrypt(&self, place: &Place, stored: &[u8]) -> Result<SecretString, CryptoError> {
        let Stored { id, nonce, sealed } = Stored::parse(stored)?;
        let key = self
            .keys()
            .find(|key| key.id == id)
            .ok_or_else(|| CryptoError::UnknownKey(id.to_owned()))?;

        let associated = place.associated_data(id);
        let payload = Payload {
            msg: sealed,
            aad: &associated,
        };
        let refused = || CryptoError::NotAuthentic(id.to_owned());
        let opened = key.cipher.decrypt(&XNonce::from(nonce), payload);
        let opened = Zeroizing::new(opened.map_err(|_| refused())?);

        Ok(std::str::from_utf8(&opened).map_err(|_| refused())?.into())
    }
}

fn prefix(id: &str) -> Vec<u8> {
    // Ids are at most 32 characters long.
    let length = u8::try_from(id.len()).unwrap_or(u8::MAX);
    std::iter::once(length).chain(id.bytes()).collect()
}

/// The parts of a ciphertext.
struct Stored<'a> {
    id: &'a str,
    nonce: [u8; NONCE_BYTES],
    sealed: &'a [u8],
}

impl<'a> Stored<'a> {
    fn parse(stored: &'a [u8]) -> Result<Self, CryptoError> {
        let parse = || {
            let (length, rest) = stored.split_first()?;
            let (id, rest) = rest.split_at_checked(usize::from(*length))?;
            let (nonce, sealed) = rest.split_first_chunk()?;
            let id = std::str::from_utf8(id).ok().filter(|id| is_id(id))?;
            Some(Self {
                id,
                nonce: *nonce,
                sealed,
            })
        };
        parse().ok_or(CryptoError::Malformed)
    }
}

#[cfg(test)]
mod tests;
