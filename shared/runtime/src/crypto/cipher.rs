//! Encrypts with the current key, decrypts with any configured key.

use super::keys::{KeyRing, is_id};
use super::place::Place;
use chacha20poly1305::XNonce;
use chacha20poly1305::aead::{Aead, Payload};
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

/// Bytes of a nonce: enough that random ones never repeat.
const NONCE_BYTES: usize = 24;

/// Why a secret cannot be encrypted or decrypted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CryptoError {
    /// The ciphertext is too short, or its key id is not one.
    #[error("a ciphertext is damaged: it is too short or its key id is malformed")]
    Malformed,
    /// The key is not configured.
    #[error("a ciphertext is under the key {0:?}, which TIRIS_ENCRYPTION_KEYS does not name")]
    UnknownKey(String),
    /// The ciphertext was changed, belongs to another row, column or user, or its key was replaced under the same id.
    #[error(
        "a ciphertext under the key {0:?} is not authentic: it was changed, or moved here, or that id names another key \
         than before"
    )]
    NotAuthentic(String),
    /// The secret is longer than the cipher allows.
    #[error("a secret cannot be encrypted")]
    NotEncrypted,
}

impl KeyRing {
    /// Returns the first bytes of every ciphertext under the current key, and of no other.
    #[must_use]
    pub fn current_prefix(&self) -> Vec<u8> {
        prefix(&self.current.id)
    }

    /// Encrypts a secret for one place.
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

    /// Decrypts a secret of this place.
    pub fn decrypt(&self, place: &Place, stored: &[u8]) -> Result<SecretString, CryptoError> {
        let Stored { id, nonce, sealed } = Stored::parse(stored).ok_or(CryptoError::Malformed)?;
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
    fn parse(stored: &'a [u8]) -> Option<Self> {
        let (length, rest) = stored.split_first()?;
        let (id, rest) = rest.split_at_checked(usize::from(*length))?;
        let (nonce, sealed) = rest.split_first_chunk()?;
        let id = std::str::from_utf8(id).ok().filter(|id| is_id(id))?;
        Some(Self {
            id,
            nonce: *nonce,
            sealed,
        })
    }
}

#[cfg(test)]
mod tests;
