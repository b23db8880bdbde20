//! Secrets at rest: what they are encrypted with, and how two equal ones are found without reading them.
//!
//! Owns: keys, the form of a ciphertext, fingerprints, and the settings that name the keys. Must not know: SQL, HTTP.
//!
//! A ciphertext is `length of the key id (1 byte) || key id || nonce (24 bytes) || XChaCha20-Poly1305 output`. Its
//! associated data is the place it belongs to, so that the database's administrator cannot move a secret to a row,
//! column or user of his own and have it shown to him there.
//!
//! A new column with ciphertexts is named in [`SecretColumn`] and in `store::secrets`, which rotates it:
//! `secrets.ring.encrypt(&SecretColumn::ACCESS_TOKEN.of(row, user), &token)`.
//!
//! Fingerprints have a key of their own, `TIRIS_FINGERPRINT_KEY`, which is never rotated: were they made with an
//! encryption key, every rotation would have to find each secret's fingerprint anew at the moment others compare it.
//! From a lost fingerprint key no secret can be read; one can only try whether a guess is right.

mod cipher;
mod fingerprint;
mod keys;
mod place;
mod settings;

pub use cipher::KeyRing;
pub use fingerprint::{FINGERPRINT_BYTES, Fingerprints};
pub use place::{Place, SecretColumn};
pub use settings::{EncryptionArgs, EncryptionConfig, SecretsError};

/// What encrypts and finds the secrets of a process.
#[derive(Clone, Debug)]
pub struct Secrets {
    /// Encrypts and decrypts.
    pub ring: std::sync::Arc<KeyRing>,
    /// Finds equal ones.
    pub fingerprints: Fingerprints,
}

/// Why a ciphertext cannot be read, or a secret not be encrypted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CryptoError {
    /// It is shorter than any ciphertext, or its key id is none.
    #[error("a ciphertext is damaged: it is too short or its key id is malformed")]
    Malformed,
    /// Its key is not among those we have.
    #[error("a ciphertext is under the key {0:?}, which TIRIS_ENCRYPTION_KEYS does not name")]
    UnknownKey(String),
    /// It was changed, or belongs to another row, column or user, or its key was replaced under the same id.
    #[error(
        "a ciphertext under the key {0:?} is not authentic: it was changed, or moved here, or that id names another key \
         than before"
    )]
    NotAuthentic(String),
    /// The cipher refuses; it has no other reason than a text beyond its limit.
    #[error("a secret cannot be encrypted")]
    NotEncrypted,
}
